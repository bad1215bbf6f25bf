// Everything the Expert Advisor holds between two moments, in one place.
#ifndef COUNTERSIGN_STATE_MQH
#define COUNTERSIGN_STATE_MQH

#include "Day.mqh"
#include "Desk.mqh"
#include "Ledger.mqh"
#include "Plan.mqh"

#define CS_FIRST_POLL_SECONDS 2
// So long a terminal has had to hear of everything once it is connected.
#define CS_SETTLED_MS 10000
// And so long it is given to see a quote move, before orders are fetched that nobody could price.
#define CS_QUOTES_WITHIN_MS 20000

// What is told to the desk beside orders, and how far that has come.
struct CsReporting
  {
   string content;          // of the last whole snapshot the desk has taken, without its moment
   string digest;           // of that snapshot's body
   ulong  snapshot_due;     // ticks
   bool   is_listing;       // all symbols are being told
   bool   is_wanted;        // and the desk waits for them
   int    next_symbol;
   string wanted[];         // names the desk has asked for
   ulong  listing_due;
  };

struct CsExpert
  {
   CsSettings  settings;
   CsDesk      desk;
   CsLedger    ledger;
   CsDays      days;
   CsReporting reporting;
   int         lock;             // the file that says this program runs, held open
   string      halt;             // why nothing is done at all; empty while all is well
   bool        is_pair_refused;
   ulong       started_tick;
   ulong       connected_since;  // a tick; 0 while the terminal is not connected
   ulong       poll_due;
   long        poll_ms;
   ulong       polled_tick;      // when the last poll was sent
   bool        was_polled;
   string      last_order;       // for the panel
   string      last_refusal;
  };

void CsReportingClear(CsReporting &reporting)
  {
   reporting.content = "";
   reporting.digest = "";
   reporting.snapshot_due = 0;
   reporting.is_listing = true;
   reporting.is_wanted = false;
   reporting.next_symbol = 0;
   ArrayResize(reporting.wanted, 0);
   reporting.listing_due = 0;
  }

void CsExpertClear(CsExpert &expert)
  {
   CsDeskClear(expert.desk, expert.settings.base, expert.settings.is_sealing);
   CsLedgerClear(expert.ledger);
   CsDaysClear(expert.days);
   CsReportingClear(expert.reporting);
   expert.lock = INVALID_HANDLE;
   expert.halt = "";
   expert.is_pair_refused = false;
   expert.started_tick = GetTickCount64();
   expert.connected_since = 0;
   expert.poll_due = 0;
   expert.poll_ms = CS_FIRST_POLL_SECONDS * 1000;
   expert.polled_tick = 0;
   expert.was_polled = false;
   expert.last_order = "none yet";
   expert.last_refusal = "";
  }

string CsLogin()
  {
   return(IntegerToString(AccountInfoInteger(ACCOUNT_LOGIN)));
  }

string CsServer()
  {
   return(AccountInfoString(ACCOUNT_SERVER));
  }

// Whether somebody is signed in.
bool CsIsSignedIn()
  {
   return(AccountInfoInteger(ACCOUNT_LOGIN) > 0 && StringLen(CsServer()) > 0);
  }

// Whether the terminal has been connected for long enough that what is not there is gone.
bool CsIsSettled(const CsExpert &expert, const ulong tick)
  {
   return(expert.connected_since > 0 && tick - expert.connected_since >= CS_SETTLED_MS);
  }

// Whether orders are of use now: at a quiet market they are fetched as well, and refused with that reason. While the
// terminal is still hearing of what it has, none would be executed.
bool CsIsReadyForOrders(const CsExpert &expert, const ulong tick)
  {
   if(expert.connected_since > 0 && !CsIsSettled(expert, tick))
      return(false);
   return(expert.desk.clock.offset_kind == CS_OFFSET_CERTAIN || tick - expert.started_tick >= CS_QUOTES_WITHIN_MS);
  }

// Write the ledger. A disk that does not keep it stops new orders until it does.
bool CsKeep(CsExpert &expert)
  {
   if(CsLedgerWrite(expert.ledger))
      return(true);
   expert.last_refusal = "Files cannot be written: is the disk full?";
   return(false);
  }

#endif
