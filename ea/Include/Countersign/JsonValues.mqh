// What a JSON text says: members by name, and values that are of the kind that was asked for or are not there.
//
// A getter answers whether the value was there and of the right kind; if not, what was handed in stays as it was.
#ifndef COUNTERSIGN_JSONVALUES_MQH
#define COUNTERSIGN_JSONVALUES_MQH

#include "Json.mqh"

// Whether a string or a name of the text is this one.
bool CsJsonIs(const CsJson &doc, const int token, const string text)
  {
   int size = StringLen(text);
   int unit = 0;
   int place = doc.from[token];
   while(place < doc.until[token])
     {
      string character = CsPointText(CsJsonPoint(doc, place));
      for(int i = 0; i < StringLen(character); i++)
        {
         if(unit >= size || StringGetCharacter(text, unit) != StringGetCharacter(character, i))
            return(false);
         unit++;
        }
     }
   return(unit == size);
  }

// The token of a member's value, or -1 where the object is none or does not have it.
int CsJsonMember(const CsJson &doc, const int object, const string name)
  {
   if(object < 0 || object >= doc.count || doc.kind[object] != CS_JSON_OBJECT)
      return(-1);
   for(int member = object + 1; member < doc.after[object]; member = doc.after[member + 1])
      if(CsJsonIs(doc, member, name))
         return(member + 1);
   return(-1);
  }

// The first element of an array, or -1 where it is none or empty; CsJsonNext has the others.
int CsJsonFirst(const CsJson &doc, const int array)
  {
   if(array < 0 || array >= doc.count || doc.kind[array] != CS_JSON_ARRAY || doc.after[array] == array + 1)
      return(-1);
   return(array + 1);
  }

// The element behind another one of the array, or -1.
int CsJsonNext(const CsJson &doc, const int array, const int element)
  {
   int next = doc.after[element];
   return(next < doc.after[array] ? next : -1);
  }

// Whether there is a token, and of that kind.
bool CsJsonIsKind(const CsJson &doc, const int token, const int kind)
  {
   return(token >= 0 && token < doc.count && doc.kind[token] == kind);
  }

// Whether a member is there and null.
bool CsJsonIsNull(const CsJson &doc, const int object, const string name)
  {
   return(CsJsonIsKind(doc, CsJsonMember(doc, object, name), CS_JSON_NULL));
  }

// The text of a string token.
bool CsJsonTextOf(const CsJson &doc, const int token, string &value)
  {
   if(!CsJsonIsKind(doc, token, CS_JSON_STRING))
      return(false);
   string text = "";
   int place = doc.from[token];
   while(place < doc.until[token])
      text += CsPointText(CsJsonPoint(doc, place));
   value = text;
   return(true);
  }

bool CsJsonText(const CsJson &doc, const int object, const string name, string &value)
  {
   return(CsJsonTextOf(doc, CsJsonMember(doc, object, name), value));
  }

// A whole number of 64 bits, exactly; one that is written with a point or an exponent is none.
bool CsJsonLongOf(const CsJson &doc, const int token, long &value)
  {
   if(!CsJsonIsKind(doc, token, CS_JSON_NUMBER))
      return(false);
   int place = doc.from[token];
   bool negative = doc.text[place] == 45;
   if(negative)
      place++;
   ulong most = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
   ulong read = 0;
   for(; place < doc.until[token]; place++)
     {
      int digit = (int)doc.text[place] - 48;
      if(digit < 0 || digit > 9 || read > (most - (ulong)digit) / 10)
         return(false);
      read = read * 10 + (ulong)digit;
     }
   value = !negative ? (long)read : read == 0 ? 0 : -(long)(read - 1) - 1;
   return(true);
  }

bool CsJsonLong(const CsJson &doc, const int object, const string name, long &value)
  {
   return(CsJsonLongOf(doc, CsJsonMember(doc, object, name), value));
  }

bool CsJsonBool(const CsJson &doc, const int object, const string name, bool &value)
  {
   int token = CsJsonMember(doc, object, name);
   if(!CsJsonIsKind(doc, token, CS_JSON_TRUE) && !CsJsonIsKind(doc, token, CS_JSON_FALSE))
      return(false);
   value = doc.kind[token] == CS_JSON_TRUE;
   return(true);
  }

#endif
