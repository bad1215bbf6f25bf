// Writing JSON: texts with what has to be escaped, and members one after the other.
#ifndef COUNTERSIGN_JSONWRITER_MQH
#define COUNTERSIGN_JSONWRITER_MQH

#include "Bytes.mqh"

// The last two hex digits of a character below 256.
string CsTwoHex(const int value)
  {
   uchar one[1];
   one[0] = (uchar)value;
   return(CsToHex(one));
  }

// A character as it is written within a string; whoever reads UTF-8 reads the others as they are.
string CsJsonEscaped(const ushort character)
  {
   if(character == 34)
      return("\\\"");
   if(character == 92)
      return("\\\\");
   if(character < 32 || character == 127)
      return("\\u00" + CsTwoHex((int)character));
   return(ShortToString(character));
  }

bool CsIsHighSurrogate(const ushort character)
  {
   return(character >= 0xd800 && character <= 0xdbff);
  }

bool CsIsLowSurrogate(const ushort character)
  {
   return(character >= 0xdc00 && character <= 0xdfff);
  }

// A text as JSON, quotes and all. Half a surrogate pair, which no reader would take, becomes U+FFFD.
string CsJsonQuoted(const string text)
  {
   int size = StringLen(text);
   string written = "\"";
   int plain = 0;   // from here on nothing had to be changed
   for(int i = 0; i < size; i++)
     {
      ushort c = StringGetCharacter(text, i);
      if(CsIsHighSurrogate(c) && i + 1 < size && CsIsLowSurrogate(StringGetCharacter(text, i + 1)))
        {
         i++;
         continue;
        }
      bool broken = CsIsHighSurrogate(c) || CsIsLowSurrogate(c);
      if(c >= 32 && c != 34 && c != 92 && c != 127 && !broken)
         continue;
      written += CsPart(text, plain, i - plain) + (broken ? "\\ufffd" : CsJsonEscaped(c));
      plain = i + 1;
     }
   return(written + CsPart(text, plain, size - plain) + "\"");
  }

// Add a member to the inside of an object; the value is JSON already.
void CsJsonAdd(string &inside, const string name, const string value)
  {
   if(StringLen(inside) > 0)
      inside += ",";
   inside += CsJsonQuoted(name) + ":" + value;
  }

void CsJsonAddText(string &inside, const string name, const string value)
  {
   CsJsonAdd(inside, name, CsJsonQuoted(value));
  }

void CsJsonAddLong(string &inside, const string name, const long value)
  {
   CsJsonAdd(inside, name, IntegerToString(value));
  }

void CsJsonAddBool(string &inside, const string name, const bool value)
  {
   CsJsonAdd(inside, name, value ? "true" : "false");
  }

// A text, or null for an empty one.
void CsJsonAddTextOrNull(string &inside, const string name, const string value)
  {
   CsJsonAdd(inside, name, StringLen(value) > 0 ? CsJsonQuoted(value) : "null");
  }

// Add an element to the inside of an array; the value is JSON already.
void CsJsonPut(string &inside, const string value)
  {
   if(StringLen(inside) > 0)
      inside += ",";
   inside += value;
  }

#endif
