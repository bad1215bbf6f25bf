// The headers of an answer, and the address of the desk.
#ifndef COUNTERSIGN_HEADERS_MQH
#define COUNTERSIGN_HEADERS_MQH

#include "Bytes.mqh"
#include "Decimal.mqh"

#define CS_LONGEST_URL 200

// Up to the next line's end from a place on, the end without its carriage return.
int CsLineEnd(const string text, const int from)
  {
   int end = from < StringLen(text) ? StringFind(text, "\n", from) : -1;
   return(end < 0 ? StringLen(text) : end);
  }

// The value of a header, in whatever case its name comes; the first of several, empty for none.
string CsHeader(const string headers, const string name)
  {
   string wanted = name;
   StringToLower(wanted);
   int from = 0;
   while(from < StringLen(headers))
     {
      int end = CsLineEnd(headers, from);
      string line = CsPart(headers, from, end - from);
      from = end + 1;
      int colon = StringLen(line) > 0 ? StringFind(line, ":") : -1;
      if(colon < 1)
         continue;
      string given = StringSubstr(line, 0, colon);
      StringToLower(given);
      if(given != wanted)
         continue;
      string value = CsPart(line, colon + 1, StringLen(line) - colon - 1);
      StringTrimLeft(value);
      StringTrimRight(value);
      return(value);
     }
   return("");
  }

// How many seconds an answer asks to wait, at most so many; 0 where it does not say.
int CsRetryAfter(const string headers, const int most)
  {
   string text = CsHeader(headers, "Retry-After");
   int size = StringLen(text);
   if(size < 1 || size > 9 || CsDigitsAt(text, 0) != size)
      return(0);
   long seconds = StringToInteger(text);
   return(seconds > most ? most : (int)seconds);
  }

// Whether a text is as long as what it begins with, and begins with it.
bool CsBeginsWith(const string text, const string beginning)
  {
   int size = StringLen(beginning);
   return(StringLen(text) >= size && StringSubstr(text, 0, size) == beginning);
  }

// Whether a character may stand in the name of a host, or before and behind its port.
bool CsIsHostCharacter(const ushort c)
  {
   return((c >= 97 && c <= 122) || (c >= 65 && c <= 90) || (c >= 48 && c <= 58) || c == 45 || c == 46);
  }

// The address of the desk as requests begin: scheme and host, no slash at the end. Empty for what cannot be: a path or
// a query, which would not be signed as it is sent, or no TLS, unless the desk is on this computer.
string CsReadAddress(const string given)
  {
   string text = given;
   StringTrimLeft(text);
   StringTrimRight(text);
   while(StringLen(text) > 0 && StringGetCharacter(text, StringLen(text) - 1) == 47)
      text = CsPart(text, 0, StringLen(text) - 1);
   bool local = CsBeginsWith(text, "http://127.0.0.1") || CsBeginsWith(text, "http://localhost");
   int host = CsBeginsWith(text, "https://") ? 8 : local ? 7 : -1;
   if(host < 0 || StringLen(text) <= host || StringLen(text) > CS_LONGEST_URL)
      return("");
   for(int i = host; i < StringLen(text); i++)
      if(!CsIsHostCharacter(StringGetCharacter(text, i)))
         return("");
   string rest = local ? CsPart(text, 16, StringLen(text) - 16) : "";
   return(!local || StringLen(rest) == 0 || StringGetCharacter(rest, 0) == 58 ? text : "");
  }

#endif
