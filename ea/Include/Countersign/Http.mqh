// One request at a time over WebRequest, and when the next may be tried: an unreachable desk is asked more and more
// seldom, up to once a minute, at moments that nobody shares.
#ifndef COUNTERSIGN_HTTP_MQH
#define COUNTERSIGN_HTTP_MQH

#include "Headers.mqh"

#define CS_TIMEOUT_MS 3000
#define CS_LONGEST_WAIT_MS 60000
#define CS_FIRST_WAIT_MS 1000

struct CsHttp
  {
   string base;             // scheme and host
   ulong  not_before;       // a tick: nothing is asked before it
   int    failures;         // in a row
   int    error;            // of the terminal, when there was no answer at all
   int    status;
   string headers;
   uchar  body[];
   ulong  asked_tick;
   ulong  answered_tick;
  };

void CsHttpClear(CsHttp &http, const string base)
  {
   http.base = base;
   http.not_before = 0;
   http.failures = 0;
   http.error = 0;
   http.status = 0;
   http.headers = "";
   ArrayResize(http.body, 0);
   http.asked_tick = 0;
   http.answered_tick = 0;
  }

bool CsHttpMayAsk(const CsHttp &http)
  {
   return(GetTickCount64() >= http.not_before);
  }

// Between half and all of a span: many terminals that lost the same desk do not come back at once.
ulong CsJittered(const ulong span)
  {
   return(span / 2 + span * (ulong)MathRand() / 65534);
  }

void CsHttpWait(CsHttp &http, const ulong milliseconds)
  {
   http.not_before = MathMax(http.not_before, GetTickCount64() + milliseconds);
  }

// Nothing came of a request.
void CsHttpFailed(CsHttp &http)
  {
   http.failures++;
   ulong span = CS_FIRST_WAIT_MS;
   for(int i = 1; i < http.failures && span < CS_LONGEST_WAIT_MS; i++)
      span *= 2;
   CsHttpWait(http, CsJittered(MathMin(span, (ulong)CS_LONGEST_WAIT_MS)));
  }

void CsHttpSucceeded(CsHttp &http)
  {
   http.failures = 0;
   http.error = 0;
  }

// The same bytes in the type that WebRequest takes.
void CsToChars(const uchar &bytes[], char &characters[])
  {
   int size = ArraySize(bytes);
   ArrayResize(characters, size);
   for(int i = 0; i < size; i++)
      characters[i] = (char)bytes[i];
  }

void CsToBytes(const char &characters[], uchar &bytes[])
  {
   int size = ArraySize(characters);
   ArrayResize(bytes, size);
   for(int i = 0; i < size; i++)
      bytes[i] = (uchar)characters[i];
  }

// Ask. The status of the answer, or -1 when there was none; http has the rest.
int CsHttpAsk(CsHttp &http, const string method, const string path, const string headers, const uchar &body[])
  {
   char data[], result[];
   string given = "";
   CsToChars(body, data);
   ResetLastError();
   http.asked_tick = GetTickCount64();
   http.status = WebRequest(method, http.base + path, headers, CS_TIMEOUT_MS, data, result, given);
   http.answered_tick = GetTickCount64();
   http.error = http.status < 100 ? GetLastError() : 0;
   http.headers = given;
   CsToBytes(result, http.body);
   // WebRequest has been seen to answer numbers above 999 for what went wrong on the way.
   if(http.status < 100 || http.status > 599)
      http.status = -1;
   return(http.status);
  }

#endif
