// What is counted and must never be counted twice: starts of the Expert Advisor, and sealed requests.
//
// A nonce is the number of the start, the desk's time then, and the number of the request since: the first is on the
// disk before anything is asked, so no nonce comes again. Counters of envelopes are taken from the disk in strides, and
// begin at the desk's milliseconds at least: even a lost file gives none a second time.
#ifndef COUNTERSIGN_COUNTERS_MQH
#define COUNTERSIGN_COUNTERS_MQH

#include "Envelope.mqh"
#include "Instant.mqh"
#include "Store.mqh"

#define CS_COUNTER_STRIDE 1024
// So far on it goes where the newest file was lost: more than can have been counted since the one before.
#define CS_LOST_STARTS 1000

struct CsCounters
  {
   CsStored stored;
   long     boot;
   long     started_seconds;   // the desk's time at this start, 0 until it is known
   long     message;
   long     reserved;          // counters of envelopes up to here are taken on the disk
   long     next;
  };

void CsCountersClear(CsCounters &counters)
  {
   counters.stored.name = "";
   counters.stored.generation = 0;
   counters.boot = 0;
   counters.started_seconds = 0;
   counters.message = 0;
   counters.reserved = 0;
   counters.next = 0;
  }

bool CsCountersWrite(CsCounters &counters)
  {
   uchar content[];
   ArrayResize(content, 0);
   CsPutLong(content, counters.boot);
   CsPutLong(content, counters.reserved);
   return(CsStoreWrite(counters.stored, content));
  }

// Read what was counted and count this start. CS_STORE_BROKEN when that cannot be kept.
int CsCountersStart(CsCounters &counters, const string name)
  {
   uchar content[];
   CsPacked packed;
   CsCountersClear(counters);
   int status = CsStoreRead(counters.stored, name, content);
   if(status == CS_STORE_BROKEN)
      return(CS_STORE_BROKEN);
   CsUnpack(packed, content);
   if(status != CS_STORE_EMPTY)
     {
      counters.boot = CsTakeLong(packed);
      counters.reserved = CsTakeLong(packed);
     }
   if(!CsIsUnpacked(packed) || counters.boot < 0 || counters.reserved < 0)
      return(CS_STORE_BROKEN);
   counters.boot += status == CS_STORE_OLDER ? CS_LOST_STARTS : 1;
   if(status == CS_STORE_OLDER)
      counters.reserved += CS_LOST_STARTS * CS_COUNTER_STRIDE;
   return(CsCountersWrite(counters) ? status : CS_STORE_BROKEN);
  }

// A nonce that was never used. seconds is the desk's time.
string CsNextNonce(CsCounters &counters, const long seconds)
  {
   if(counters.started_seconds == 0)
      counters.started_seconds = seconds;
   counters.message++;
   return(CsPadded(counters.boot, 8) + "-" + CsPadded(counters.started_seconds, 10) + "-"
          + CsPadded(counters.message, 8));
  }

// A counter for one sealed request; 0 when it cannot be kept, or there is none left. milliseconds are the desk's.
long CsNextCounter(CsCounters &counters, const long milliseconds)
  {
   if(counters.next == 0)
      counters.next = MathMax(counters.reserved + 1, milliseconds);
   if(counters.next > counters.reserved)
     {
      if(counters.next + CS_COUNTER_STRIDE > CS_MOST_COUNTER)
         return(0);
      long before = counters.reserved;
      counters.reserved = counters.next + CS_COUNTER_STRIDE - 1;
      if(!CsCountersWrite(counters))
        {
         counters.reserved = before;
         return(0);
        }
     }
   counters.next++;
   return(counters.next - 1);
  }

// The desk says what the next counter has to be at least: another copy of these files has counted further.
void CsRaiseCounter(CsCounters &counters, const long least)
  {
   if(least > counters.next && least <= CS_MOST_COUNTER)
      counters.next = least;
  }

#endif
