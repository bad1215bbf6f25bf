// What time it is at the desk and at the trade server, whatever the computer's own clock says.
//
// The desk is asked for its time, and from then on GetTickCount64 counts: setting the computer's clock changes nothing.
// Ticks are handed in, so all of this can be tried without waiting.
#ifndef COUNTERSIGN_CLOCK_MQH
#define COUNTERSIGN_CLOCK_MQH

#define CS_SYNC_EVERY_MS 600000
// Two readings this close to each other tell the same: the desk's time comes in whole seconds.
#define CS_SAME_TIME_MS 1500

#define CS_OFFSET_UNKNOWN 0
#define CS_OFFSET_ESTIMATED 1
#define CS_OFFSET_CERTAIN 2

struct CsClock
  {
   bool  is_set;
   long  base_ms;          // the desk's time at base_tick
   ulong base_tick;
   long  unsure_ms;        // so far base_ms may be from the truth
   ulong synced_tick;
   bool  must_sync;
   long  pc_ahead_ms;      // how far the computer's clock is ahead of the desk's, for the panel
   int   offset_kind;      // how the next is known
   int   offset_seconds;   // the trade server's wall clock less UTC
   long  last_quote;       // the newest quote's time, in seconds of the trade server's clock
   ulong last_quote_tick;
  };

void CsClockClear(CsClock &clock)
  {
   clock.is_set = false;
   clock.base_ms = 0;
   clock.base_tick = 0;
   clock.unsure_ms = 0;
   clock.synced_tick = 0;
   clock.must_sync = true;
   clock.pc_ahead_ms = 0;
   clock.offset_kind = CS_OFFSET_UNKNOWN;
   clock.offset_seconds = 0;
   clock.last_quote = 0;
   clock.last_quote_tick = 0;
  }

// The desk's time at a tick, in milliseconds since 1970.
long CsClockNow(const CsClock &clock, const ulong tick)
  {
   return(clock.base_ms + (long)(tick - clock.base_tick));
  }

// The latest it may be there: what must not happen after an instant goes by this.
long CsClockLatest(const CsClock &clock, const ulong tick)
  {
   return(CsClockNow(clock, tick) + clock.unsure_ms);
  }

// Note the desk's answer, in whole seconds, to a question that was asked and answered at these ticks.
void CsClockSet(CsClock &clock, const long server_seconds, const ulong asked_tick, const ulong answered_tick)
  {
   long way = (long)(answered_tick - asked_tick);
   // It was somewhere in that second, somewhere between question and answer.
   long now = server_seconds * 1000 + 500 + way / 2;
   clock.synced_tick = answered_tick;
   clock.must_sync = false;
   if(clock.is_set && MathAbs(CsClockNow(clock, answered_tick) - now) <= CS_SAME_TIME_MS)
      return;
   clock.is_set = true;
   clock.base_ms = now;
   clock.base_tick = answered_tick;
   clock.unsure_ms = 500 + way / 2;
  }

bool CsClockMustSync(const CsClock &clock, const ulong tick)
  {
   return(!clock.is_set || clock.must_sync || tick - clock.synced_tick >= CS_SYNC_EVERY_MS);
  }

// To the nearest quarter of an hour: so far wall clocks are apart.
int CsToQuarter(const long seconds)
  {
   return((int)(MathRound((double)seconds / 900.0) * 900.0));
  }

bool CsIsOffset(const int seconds)
  {
   return(seconds >= -43200 && seconds <= 50400);
  }

// Learn the trade server's clock from the newest quote's time (TimeCurrent) beside the desk's time. A quote that has
// just moved tells it; before that the terminal's own reckoning (TimeTradeServer) is an estimate.
void CsClockNote(CsClock &clock, const long quote, const long reckoned, const ulong tick)
  {
   if(!clock.is_set)
      return;
   long now = CsClockNow(clock, tick) / 1000;
   bool moved = quote > clock.last_quote && clock.last_quote > 0 && tick - clock.last_quote_tick <= 60000;
   int offset = CsToQuarter(quote - now);
   if(moved && CsIsOffset(offset) && MathAbs(quote - now - offset) <= 120)
     {
      clock.offset_seconds = offset;
      clock.offset_kind = CS_OFFSET_CERTAIN;
     }
   else if(clock.offset_kind != CS_OFFSET_CERTAIN && CsIsOffset(CsToQuarter(reckoned - now)))
     {
      clock.offset_seconds = CsToQuarter(reckoned - now);
      clock.offset_kind = CS_OFFSET_ESTIMATED;
     }
   clock.last_quote = quote;
   clock.last_quote_tick = tick;
  }

// An instant of the trade server's clock in milliseconds, as the desk counts them.
long CsClockUtc(const CsClock &clock, const long server_ms)
  {
   return(server_ms - (long)clock.offset_seconds * 1000);
  }

// What the trade server's clock shows at an instant, in seconds.
long CsClockServer(const CsClock &clock, const long utc_ms)
  {
   return(utc_ms / 1000 + clock.offset_seconds);
  }

#endif
