// Speaking with the desk: what is asked is signed, and nothing that is answered is acted on unless it is signed too, for
// this very request. Where it is wished for, both are sealed.
#ifndef COUNTERSIGN_DESK_MQH
#define COUNTERSIGN_DESK_MQH

#include "Clock.mqh"
#include "Counters.mqh"
#include "Credentials.mqh"
#include "Http.mqh"
#include "Json.mqh"
#include "JsonValues.mqh"

#define CS_UNHEARD 0
#define CS_SLOW_WAIT_MS 60000

const int CS_NOT_ASKED = -1;
const string CS_EA_PATH = "/api/v1/ea/";

struct CsDesk
  {
   CsHttp        http;
   CsClock       clock;
   CsCounters    counters;
   CsCredentials credentials;
   bool          is_sealing;
   uchar         up_key[];
   uchar         down_key[];
   CsJson        answer;        // of the last genuine answer with a body
   string        code;          // of the last problem
   ulong         retry_after_ms;
   bool          was_heard;
   ulong         heard_tick;    // when the last genuine answer came
   int           refusals;      // 401 in a row
   string        trouble;       // for the panel; empty when all is well
  };

void CsDeskClear(CsDesk &desk, const string base, const bool is_sealing)
  {
   CsHttpClear(desk.http, base);
   CsClockClear(desk.clock);
   CsCountersClear(desk.counters);
   CsCredentialsClear(desk.credentials);
   CsJsonClear(desk.answer);
   ArrayResize(desk.up_key, 0);
   ArrayResize(desk.down_key, 0);
   desk.is_sealing = is_sealing;
   desk.code = "";
   desk.retry_after_ms = 0;
   desk.was_heard = false;
   desk.heard_tick = 0;
   desk.refusals = 0;
   desk.trouble = "";
  }

long CsDeskNow(const CsDesk &desk)
  {
   return(CsClockNow(desk.clock, GetTickCount64()));
  }

// How long ago the desk was last heard, in milliseconds; below 0 for never.
long CsDeskSilence(const CsDesk &desk)
  {
   return(desk.was_heard ? (long)(GetTickCount64() - desk.heard_tick) : -1);
  }

// The keys go with the secret. False when they cannot be had.
bool CsDeskKeys(CsDesk &desk)
  {
   return(CsEnvelopeKeys(desk.credentials.secret, desk.credentials.device_id, desk.up_key, desk.down_key));
  }

// Ask the desk for its time. Nobody signs this answer; it decides only what is too late and what is signed as now.
bool CsDeskSync(CsDesk &desk)
  {
   uchar nothing[];
   long seconds = 0;
   int status = CsHttpAsk(desk.http, "GET", CS_EA_PATH + "time", "", nothing);
   if(status != 200 || !CsJsonRead(desk.answer, desk.http.body) || !CsJsonLong(desk.answer, 0, "server_time", seconds)
      || seconds < 1600000000 || seconds > 4100000000)
     {
      CsHttpFailed(desk.http);
      desk.trouble = status < 0 ? "The desk cannot be reached." : "The desk does not tell its time.";
      return(false);
     }
   CsHttpSucceeded(desk.http);
   CsClockSet(desk.clock, seconds, desk.http.asked_tick, desk.http.answered_tick);
   desk.clock.pc_ahead_ms = (long)TimeGMT() * 1000 - CsDeskNow(desk);
   if(desk.refusals == 0)
      desk.trouble = "";
   return(true);
  }

// The headers of a signed request.
string CsDeskHeaders(CsDesk &desk, const string method, const string path, const string nonce, const string type,
                     const uchar &body[])
  {
   long seconds = CsDeskNow(desk) / 1000;
   string signature = CsSignRequest(desk.credentials.secret, method, path, seconds, nonce, body);
   string headers = "X-Key-Id: " + desk.credentials.device_id + "\r\nX-Timestamp: " + IntegerToString(seconds)
                    + "\r\nX-Nonce: " + nonce + "\r\nX-Signature: " + signature + "\r\n";
   return(ArraySize(body) > 0 ? headers + "Content-Type: " + type + "\r\n" : headers);
  }

// Read what was answered as a JSON text, with its code if it is a problem. An empty body is read as nothing.
bool CsDeskRead(CsDesk &desk, const uchar &body[])
  {
   desk.code = "";
   CsJsonClear(desk.answer);
   if(ArraySize(body) == 0)
      return(true);
   if(!CsJsonRead(desk.answer, body))
      return(false);
   CsJsonText(desk.answer, 0, "code", desk.code);
   return(true);
  }

// Read a genuine answer to a sealed request. In plain words the desk may only say that the envelope itself was wrong,
// or that it does not serve now.
bool CsDeskOpen(CsDesk &desk, const long counter, const string path)
  {
   uchar plain[];
   int status = desk.http.status;
   if(CsHeader(desk.http.headers, "Content-Type") == CS_ENVELOPE_TYPE)
      return(CsOpenAnswer(desk.down_key, desk.credentials.device_id, counter, path, desk.http.body, plain)
             && CsDeskRead(desk, plain));
   if(status == 204)
      return(ArraySize(desk.http.body) == 0 && CsDeskRead(desk, desk.http.body));
   if(!CsDeskRead(desk, desk.http.body))
      return(false);
   return(status == 401 || status == 429 || status == 503 || (status == 409 && desk.code == "counter_used"));
  }

// Nothing was heard that could be trusted; what the answer pretends to be may only slow things down.
int CsDeskUnheard(CsDesk &desk, const string why)
  {
   desk.trouble = why;
   desk.code = "";
   CsJsonClear(desk.answer);
   CsHttpFailed(desk.http);
   if(desk.http.status == 429 || desk.http.status == 503)
      CsHttpWait(desk.http, (ulong)CsRetryAfter(desk.http.headers, 60) * 1000);
   return(CS_UNHEARD);
  }

// The desk does not take the signature: its clock is asked once, and then it is asked seldom.
void CsDeskRefused(CsDesk &desk)
  {
   desk.refusals++;
   desk.clock.must_sync = true;
   desk.trouble = "The desk does not know this device or secret (401).";
   if(desk.refusals > 1)
      CsHttpWait(desk.http, CS_SLOW_WAIT_MS);
  }

// Take a genuine answer; returns its status.
int CsDeskHeard(CsDesk &desk)
  {
   int status = desk.http.status;
   CsHttpSucceeded(desk.http);
   desk.was_heard = true;
   desk.heard_tick = desk.http.answered_tick;
   desk.retry_after_ms = (ulong)CsRetryAfter(desk.http.headers, 600) * 1000;
   if(status != 401)
     {
      desk.refusals = 0;
      desk.trouble = "";
     }
   if(status == 503)
      CsHttpWait(desk.http, MathMax(desk.retry_after_ms, CsJittered(5000)));
   if(status == 403 && desk.code == "envelope_required")
      desk.trouble = "The desk wants sealed requests: set Encrypt to true.";
   return(status);
  }

// Send one request whose body is ready, and judge the answer. counter is 0 where nothing is sealed.
int CsDeskExchange(CsDesk &desk, const string method, const string path, const uchar &body[], const long counter)
  {
   string nonce = CsNextNonce(desk.counters, CsDeskNow(desk) / 1000);
   string type = counter > 0 ? CS_ENVELOPE_TYPE : "application/json";
   string headers = CsDeskHeaders(desk, method, path, nonce, type, body);
   int status = CsHttpAsk(desk.http, method, path, headers, body);
   if(status < 0)
      return(CsDeskUnheard(desk, "The desk cannot be reached."));
   bool genuine = CsIsGenuineAnswer(desk.credentials.secret, status, nonce, desk.http.body,
                                    CsHeader(desk.http.headers, "X-Signature"));
   if(status == 401)
      CsDeskRefused(desk);
   if(!genuine)
      return(status == 401 ? CS_UNHEARD : CsDeskUnheard(desk, "An answer was not the desk's and was ignored."));
   bool read = counter > 0 ? CsDeskOpen(desk, counter, path) : CsDeskRead(desk, desk.http.body);
   if(!read)
      return(CsDeskUnheard(desk, "The desk's answer could not be read."));
   return(CsDeskHeard(desk));
  }

// One sealed request.
int CsDeskAskSealed(CsDesk &desk, const string method, const string path, const uchar &plain[])
  {
   uchar sealed[];
   long counter = CsNextCounter(desk.counters, CsDeskNow(desk));
   if(counter == 0)
     {
      desk.trouble = "What is counted cannot be kept: is the disk full?";
      return(CS_NOT_ASKED);
     }
   string whole = path + CsEnvelopeQuery(counter);
   ArrayResize(sealed, 0);
   if(ArraySize(plain) > 0
      && !CsSealRequest(desk.up_key, desk.credentials.device_id, counter, whole, plain, sealed))
      return(CS_NOT_ASKED);
   return(CsDeskExchange(desk, method, whole, sealed, counter));
  }

// Ask the desk: the status of a genuine answer, CS_UNHEARD when nobody knows whether the desk has heard it, or
// CS_NOT_ASKED when it surely has not. name is what stands behind /api/v1/ea/; body is JSON, empty for a GET.
int CsDeskAsk(CsDesk &desk, const string method, const string name, const string body)
  {
   uchar plain[];
   desk.retry_after_ms = 0;
   if(!desk.clock.is_set || !CsHasCredentials(desk.credentials) || !CsHttpMayAsk(desk.http))
      return(CS_NOT_ASKED);
   CsUtf8(body, plain);
   if(!desk.is_sealing)
      return(CsDeskExchange(desk, method, CS_EA_PATH + name, plain, 0));
   int status = CsDeskAskSealed(desk, method, CS_EA_PATH + name, plain);
   long least = 0;
   if(status != 409 || desk.code != "counter_used" || !CsJsonLong(desk.answer, 0, "next_counter", least))
      return(status);
   CsRaiseCounter(desk.counters, least);
   return(CsDeskAskSealed(desk, method, CS_EA_PATH + name, plain));
  }

#endif
