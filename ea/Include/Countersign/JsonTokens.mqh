// The tokens of a JSON text, and how strings, numbers and words are told apart; Json.mqh puts them together.
#ifndef COUNTERSIGN_JSONTOKENS_MQH
#define COUNTERSIGN_JSONTOKENS_MQH

#include "Utf8.mqh"

#define CS_JSON_MOST_BYTES 262144
#define CS_JSON_MOST_TOKENS 4096
#define CS_JSON_DEEPEST 16

#define CS_JSON_OBJECT 1
#define CS_JSON_ARRAY 2
#define CS_JSON_STRING 3
#define CS_JSON_NUMBER 4
#define CS_JSON_TRUE 5
#define CS_JSON_FALSE 6
#define CS_JSON_NULL 7
#define CS_JSON_NAME 8

// A text that was read. Token 0 is the whole; the members of an object are a name, then its value, and so on; after[i]
// is the first token that is no part of token i. from and until are its bytes; a string's are without the quotes.
struct CsJson
  {
   uchar text[];
   int   count;
   int   kind[];
   int   from[];
   int   until[];
   int   after[];
   uint  hash[];                      // of names, so that finding one twice is quick
   int   place;                       // from here on: while reading
   int   depth;
   int   open[CS_JSON_DEEPEST];
  };

// Add a token that begins at the present place. False when there are too many.
bool CsJsonPush(CsJson &doc, const int kind)
  {
   if(doc.count >= CS_JSON_MOST_TOKENS)
      return(false);
   doc.kind[doc.count] = kind;
   doc.from[doc.count] = doc.place;
   doc.until[doc.count] = doc.place;
   doc.after[doc.count] = doc.count + 1;
   doc.hash[doc.count] = 0;
   doc.count++;
   return(true);
  }

// The byte at the present place, or 0 at the end; a zero byte is no JSON anyhow.
int CsJsonByte(const CsJson &doc)
  {
   return(doc.place < ArraySize(doc.text) ? (int)doc.text[doc.place] : 0);
  }

void CsJsonSkipSpace(CsJson &doc)
  {
   int size = ArraySize(doc.text);
   while(doc.place < size)
     {
      int c = doc.text[doc.place];
      if(c != 32 && c != 9 && c != 10 && c != 13)
         return;
      doc.place++;
     }
  }

// The number that four hex digits from a place on are, or -1.
int CsJsonHex(const CsJson &doc, const int place)
  {
   if(place + 4 > ArraySize(doc.text))
      return(-1);
   int value = 0;
   for(int i = 0; i < 4; i++)
     {
      int digit = CsHexDigit(doc.text[place + i]);
      if(digit < 0)
         return(-1);
      value = value * 16 + digit;
     }
   return(value);
  }

// Step over what follows a backslash. False for an escape that is none, a zero, and half a surrogate pair.
bool CsJsonSkipEscape(CsJson &doc)
  {
   int c = CsJsonByte(doc);
   doc.place++;
   if(c == 34 || c == 92 || c == 47 || c == 98 || c == 102 || c == 110 || c == 114 || c == 116)
      return(true);
   if(c != 117)
      return(false);
   int unit = CsJsonHex(doc, doc.place);
   doc.place += 4;
   if(unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
      return(false);
   if(unit < 0xd800 || unit > 0xdfff)
      return(true);
   if(doc.place + 6 > ArraySize(doc.text) || doc.text[doc.place] != 92 || doc.text[doc.place + 1] != 117)
      return(false);
   int low = CsJsonHex(doc, doc.place + 2);
   doc.place += 6;
   return(low >= 0xdc00 && low <= 0xdfff);
  }

// Step over a string, at whose first quote the place is; its token is the last one.
bool CsJsonSkipString(CsJson &doc)
  {
   int size = ArraySize(doc.text);
   doc.place++;
   doc.from[doc.count - 1] = doc.place;
   while(doc.place < size)
     {
      int c = doc.text[doc.place];
      if(c < 32)
         return(false);
      if(c == 34)
        {
         doc.until[doc.count - 1] = doc.place;
         doc.place++;
         return(true);
        }
      doc.place++;
      if(c == 92 && !CsJsonSkipEscape(doc))
         return(false);
     }
   return(false);
  }

// Step over digits; how many there were.
int CsJsonSkipDigits(CsJson &doc)
  {
   int begin = doc.place;
   int c = CsJsonByte(doc);
   while(c >= 48 && c <= 57)
     {
      doc.place++;
      c = CsJsonByte(doc);
     }
   return(doc.place - begin);
  }

bool CsJsonSkipNumber(CsJson &doc)
  {
   if(CsJsonByte(doc) == 45)
      doc.place++;
   bool zero = CsJsonByte(doc) == 48;
   int digits = CsJsonSkipDigits(doc);
   if(digits == 0 || (zero && digits > 1))
      return(false);
   if(CsJsonByte(doc) == 46)
     {
      doc.place++;
      if(CsJsonSkipDigits(doc) == 0)
         return(false);
     }
   if(CsJsonByte(doc) == 101 || CsJsonByte(doc) == 69)
     {
      doc.place++;
      if(CsJsonByte(doc) == 43 || CsJsonByte(doc) == 45)
         doc.place++;
      if(CsJsonSkipDigits(doc) == 0)
         return(false);
     }
   doc.until[doc.count - 1] = doc.place;
   return(true);
  }

// Step over a word that has to stand here, letter for letter.
bool CsJsonSkipWord(CsJson &doc, const string word)
  {
   int size = StringLen(word);
   if(doc.place + size > ArraySize(doc.text))
      return(false);
   for(int i = 0; i < size; i++)
      if(doc.text[doc.place + i] != StringGetCharacter(word, i))
         return(false);
   doc.place += size;
   doc.until[doc.count - 1] = doc.place;
   return(true);
  }

// The next character of a string that has been read, as a code point; the place moves behind it.
uint CsJsonPoint(const CsJson &doc, int &place)
  {
   if(doc.text[place] != 92)
      return(CsUtf8Point(doc.text, place));
   int c = doc.text[place + 1];
   place += 2;
   if(c == 98)
      return(8);
   if(c == 102)
      return(12);
   if(c == 110)
      return(10);
   if(c == 114)
      return(13);
   if(c == 116)
      return(9);
   if(c != 117)
      return((uint)c);
   uint unit = (uint)CsJsonHex(doc, place);
   place += 4;
   if(unit < 0xd800 || unit > 0xdfff)
      return(unit);
   uint low = (uint)CsJsonHex(doc, place + 2);
   place += 6;
   return(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
  }

// Whether two strings of the text are the same once their escapes are resolved.
bool CsJsonSameStrings(const CsJson &doc, const int one, const int other)
  {
   int a = doc.from[one], b = doc.from[other];
   while(a < doc.until[one] && b < doc.until[other])
      if(CsJsonPoint(doc, a) != CsJsonPoint(doc, b))
         return(false);
   return(a == doc.until[one] && b == doc.until[other]);
  }

#endif
