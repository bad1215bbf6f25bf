// JSON as RFC 8259 has it, read into flat arrays: no objects, no pointers, nothing that grows without bound.
//
// Refused besides what is no JSON: text that is not UTF-8, a name twice in one object, half a surrogate pair, a zero
// character (an MQL5 text would end there), more than CS_JSON_DEEPEST levels, CS_JSON_MOST_TOKENS or
// CS_JSON_MOST_BYTES. What comes from the network goes through here first, so it is fuzzed (make ea-fuzz).
#ifndef COUNTERSIGN_JSON_MQH
#define COUNTERSIGN_JSON_MQH

#include "JsonTokens.mqh"

// What may come next while reading.
#define CS_JSON_VALUE 1
#define CS_JSON_VALUE_OR_END 2
#define CS_JSON_NAME_NEXT 3
#define CS_JSON_NAME_OR_END 4
#define CS_JSON_AFTER 5

// Read a name and the colon behind it. False as well when the object has that name already.
bool CsJsonReadName(CsJson &doc)
  {
   if(CsJsonByte(doc) != 34 || !CsJsonPush(doc, CS_JSON_NAME) || !CsJsonSkipString(doc))
      return(false);
   int name = doc.count - 1;
   uint hash = 0x811c9dc5;
   int place = doc.from[name];
   while(place < doc.until[name])
      hash = (hash ^ CsJsonPoint(doc, place)) * 0x01000193;
   doc.hash[name] = hash;
   for(int other = doc.open[doc.depth - 1] + 1; other < name; other = doc.after[other + 1])
      if(doc.hash[other] == hash && CsJsonSameStrings(doc, other, name))
         return(false);
   CsJsonSkipSpace(doc);
   if(CsJsonByte(doc) != 58)
      return(false);
   doc.place++;
   return(true);
  }

// Begin an object or an array; what comes next, or 0 where it would be too deep or too much.
int CsJsonOpen(CsJson &doc, const int kind)
  {
   if(doc.depth >= CS_JSON_DEEPEST || !CsJsonPush(doc, kind))
      return(0);
   doc.open[doc.depth] = doc.count - 1;
   doc.depth++;
   doc.place++;
   return(kind == CS_JSON_OBJECT ? CS_JSON_NAME_OR_END : CS_JSON_VALUE_OR_END);
  }

// End the innermost object or array; what comes next.
int CsJsonClose(CsJson &doc)
  {
   doc.depth--;
   doc.place++;
   doc.until[doc.open[doc.depth]] = doc.place;
   doc.after[doc.open[doc.depth]] = doc.count;
   return(CS_JSON_AFTER);
  }

// Read one value, or the beginning of one; what comes next, or 0 for what is none.
int CsJsonReadValue(CsJson &doc)
  {
   int c = CsJsonByte(doc);
   if(c == 123)
      return(CsJsonOpen(doc, CS_JSON_OBJECT));
   if(c == 91)
      return(CsJsonOpen(doc, CS_JSON_ARRAY));
   bool read = false;
   if(c == 34)
      read = CsJsonPush(doc, CS_JSON_STRING) && CsJsonSkipString(doc);
   else if(c == 45 || (c >= 48 && c <= 57))
      read = CsJsonPush(doc, CS_JSON_NUMBER) && CsJsonSkipNumber(doc);
   else if(c == 116)
      read = CsJsonPush(doc, CS_JSON_TRUE) && CsJsonSkipWord(doc, "true");
   else if(c == 102)
      read = CsJsonPush(doc, CS_JSON_FALSE) && CsJsonSkipWord(doc, "false");
   else if(c == 110)
      read = CsJsonPush(doc, CS_JSON_NULL) && CsJsonSkipWord(doc, "null");
   return(read ? CS_JSON_AFTER : 0);
  }

// Read what stands behind a value within an object or an array; what comes next, or 0.
int CsJsonReadAfter(CsJson &doc)
  {
   bool in_object = doc.kind[doc.open[doc.depth - 1]] == CS_JSON_OBJECT;
   int c = CsJsonByte(doc);
   if(c == (in_object ? 125 : 93))
      return(CsJsonClose(doc));
   if(c != 44)
      return(0);
   doc.place++;
   return(in_object ? CS_JSON_NAME_NEXT : CS_JSON_VALUE);
  }

// One step of reading; what comes next, or 0 where it goes wrong.
int CsJsonStep(CsJson &doc, const int next)
  {
   if(next == CS_JSON_AFTER)
      return(CsJsonReadAfter(doc));
   if(next == CS_JSON_VALUE_OR_END && CsJsonByte(doc) == 93)
      return(CsJsonClose(doc));
   if(next == CS_JSON_NAME_OR_END && CsJsonByte(doc) == 125)
      return(CsJsonClose(doc));
   if(next == CS_JSON_VALUE || next == CS_JSON_VALUE_OR_END)
      return(CsJsonReadValue(doc));
   return(CsJsonReadName(doc) ? CS_JSON_VALUE : 0);
  }

void CsJsonClear(CsJson &doc)
  {
   ArrayResize(doc.text, 0);
   doc.count = 0;
   doc.place = 0;
   doc.depth = 0;
   ArrayResize(doc.kind, CS_JSON_MOST_TOKENS);
   ArrayResize(doc.from, CS_JSON_MOST_TOKENS);
   ArrayResize(doc.until, CS_JSON_MOST_TOKENS);
   ArrayResize(doc.after, CS_JSON_MOST_TOKENS);
   ArrayResize(doc.hash, CS_JSON_MOST_TOKENS);
  }

// Read the bytes of a whole text. False, and nothing in it, for what is no JSON or more than the bounds above.
bool CsJsonRead(CsJson &doc, const uchar &bytes[])
  {
   CsJsonClear(doc);
   if(ArraySize(bytes) > CS_JSON_MOST_BYTES || !CsIsUtf8(bytes))
      return(false);
   ArrayCopy(doc.text, bytes);
   int next = CS_JSON_VALUE;
   CsJsonSkipSpace(doc);
   while(next != 0 && !(next == CS_JSON_AFTER && doc.depth == 0))
     {
      next = CsJsonStep(doc, next);
      CsJsonSkipSpace(doc);
     }
   if(next != 0 && doc.place == ArraySize(doc.text))
      return(true);
   CsJsonClear(doc);
   return(false);
  }

#endif
