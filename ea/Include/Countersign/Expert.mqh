// The Expert Advisor's day: it starts, does a little at each beat of its timer, and stops. At most one job a beat asks
// the desk for something, so that a slow desk does not keep the terminal from its orders.
#ifndef COUNTERSIGN_EXPERT_MQH
#define COUNTERSIGN_EXPERT_MQH

#include "Execute.mqh"
#include "Pairing.mqh"
#include "Panel.mqh"
#include "Snapshot.mqh"
#include "Symbols.mqh"

#define CS_MOST_OFFERED 20
#define CS_LISTING_MS 1500

const string CS_FOLDER = "Countersign\\";

bool CsHalt(CsExpert &expert, const string why)
  {
   expert.halt = why;
   Print("Countersign: STOPPED, " + why);
   return(false);
  }

// Hold the file that says this program runs here. Two at once would count the same numbers and trade the same orders.
bool CsTakeLock(CsExpert &expert)
  {
   FolderCreate("Countersign");
   expert.lock = FileOpen(CS_FOLDER + "running", FILE_WRITE | FILE_BIN);
   return(expert.lock != INVALID_HANDLE || CsHalt(expert, "it runs on another chart, or files cannot be written"));
  }

// Whether something was read, or may begin with nothing: a file that was there at an earlier start has to be there.
bool CsIsSound(CsExpert &expert, const int status, const bool is_first, const string what)
  {
   if(status == CS_STORE_OLDER)
      Print("Countersign: the newest copy of " + what + " is damaged, the one before it is used");
   if(status == CS_STORE_GOOD || status == CS_STORE_OLDER || (status == CS_STORE_EMPTY && is_first))
      return(true);
   return(CsHalt(expert, what + " is damaged or gone (MQL5\\Files)"));
  }

// Read every file. One that cannot be read stops everything: to begin with nothing could mean to trade twice. The
// counters are written last: where they are, everything has been.
bool CsReadFiles(CsExpert &expert)
  {
   bool first = !CsIsStored(CS_FOLDER + "counters");
   if(!CsIsSound(expert, CsLedgerStart(expert.ledger, CS_FOLDER + "orders"), first, "the file of orders")
      || !CsIsSound(expert, CsDaysStart(expert.days, CS_FOLDER + "days"), first, "the file of days")
      || !CsIsSound(expert, CsCredentialsStart(expert.desk.credentials, CS_FOLDER + "device"), true,
                    "the file of the device"))
      return(false);
   if(first && (!CsLedgerWrite(expert.ledger) || !CsDaysWrite(expert.days)))
      return(CsHalt(expert, "files cannot be written: is the disk full?"));
   return(CsIsSound(expert, CsCountersStart(expert.desk.counters, CS_FOLDER + "counters"), true,
                    "the file of counters"));
  }

// Whether a limit makes no sense: taken for "none" it would be the opposite of what was meant.
bool CsIsBelowNothing(const CsSettings &settings)
  {
   return(settings.policy.max_lots < 0.0 || settings.policy.max_total_lots < 0.0 || settings.policy.max_spread_points < 0
          || settings.policy.max_daily_loss < 0.0 || settings.policy.max_orders_a_day < 0
          || settings.policy.max_silence_seconds < 0 || settings.max_deviation < 0);
  }

// Who the inputs say this is, if they do.
bool CsReadInputs(CsExpert &expert)
  {
   string id = expert.settings.device_id, secret = expert.settings.secret;
   if(StringLen(expert.settings.base) == 0)
      return(CsHalt(expert, "the desk's address has to be like https://desk.example"));
   if(CsIsBelowNothing(expert.settings))
      return(CsHalt(expert, "a limit below 0 is none: enter 0 for no limit"));
   StringTrimLeft(id);
   StringTrimRight(id);
   StringTrimLeft(secret);
   StringTrimRight(secret);
   if(StringLen(id) == 0 && StringLen(secret) == 0)
      return(true);
   if(!CsTakeCredentials(expert.desk.credentials, id, secret))
      return(CsHalt(expert, "device id or secret is not what the desk shows"));
   expert.desk.credentials.from_inputs = true;
   return(true);
  }

// Begin. False when nothing can be done; the panel says why.
bool CsStart(CsExpert &expert)
  {
   CsExpertClear(expert);
   if(MQLInfoInteger(MQL_TESTER) != 0)
      return(CsHalt(expert, "the Strategy Tester has no network: use a demo account"));
   MathSrand((int)(GetTickCount64() & 0x7fffffff));
   if(!CsTakeLock(expert) || !CsReadFiles(expert) || !CsReadInputs(expert))
      return(false);
   if(CsHasCredentials(expert.desk.credentials) && !CsDeskKeys(expert.desk))
      return(CsHalt(expert, "the secret cannot be used"));
   return(true);
  }

void CsStop(CsExpert &expert)
  {
   if(expert.lock != INVALID_HANDLE)
      FileClose(expert.lock);
   expert.lock = INVALID_HANDLE;
   CsPanelRemove();
  }

// -- what needs no network ------------------------------------------------------------------------------------------

// Note how the terminal, its clock and its account stand.
void CsObserve(CsExpert &expert, const ulong tick)
  {
   bool connected = TerminalInfoInteger(TERMINAL_CONNECTED) != 0 && CsIsSignedIn();
   if(!connected)
      expert.connected_since = 0;
   else if(expert.connected_since == 0)
      expert.connected_since = tick;
   CsClockNote(expert.desk.clock, (long)TimeCurrent(), (long)TimeTradeServer(), tick);
   // Before a terminal has heard of its account it shows nothing in it.
   bool known = AccountInfoDouble(ACCOUNT_EQUITY) > 0.0 || CsIsSettled(expert, tick);
   // An estimate rests on the computer's clock: a wrong one would begin tomorrow's day.
   if(!connected || !known || expert.desk.clock.offset_kind != CS_OFFSET_CERTAIN)
      return;
   CsNoteDay(expert.days, CsLogin(), CsServer(), CsClockServer(expert.desk.clock, CsDeskNow(expert.desk)),
             AccountInfoDouble(ACCOUNT_EQUITY));
   CsReckonLoss(expert.days, tick);
  }

// Follow every order of the account that is signed in.
void CsFollowAll(CsExpert &expert, const ulong tick)
  {
   bool changed = false;
   if(!expert.desk.clock.is_set)
      return;
   for(int i = 0; i < expert.ledger.count; i++)
     {
      bool is_seen = expert.connected_since > 0 && expert.ledger.open[i].login == CsLogin()
                     && expert.ledger.open[i].server == CsServer();
      if(!is_seen)
        {
         CsForgetMissing(expert.ledger.open[i]);
         continue;
        }
      if(CsDeskNow(expert.desk) >= expert.ledger.open[i].expires_ms)
         CsWithdraw(expert.ledger.open[i], tick);
      if(!CsFollow(expert.desk.clock, expert.ledger.open[i], CsIsSettled(expert, tick), tick))
         continue;
      changed = true;
      expert.last_order = expert.ledger.open[i].symbol + ": " + CsStatusWord(expert.ledger.open[i].reached);
      expert.reporting.snapshot_due = 0;
     }
   if(changed)
      CsKeep(expert);
  }

// -- what asks the desk ---------------------------------------------------------------------------------------------

// Use the code of the inputs, if there is one that was not used yet.
void CsDoPair(CsExpert &expert)
  {
   int came = CsPair(expert.desk, expert.settings.code, CsLogin(), CsServer(), CS_VERSION);
   expert.is_pair_refused = came == CS_PAIR_REFUSED;
   if(came == CS_PAIR_NOT_KEPT)
      CsHalt(expert, "the device's secret cannot be kept: is the disk full?");
   if(came == CS_PAIRED)
      Print("Countersign: paired as device " + expert.desk.credentials.device_id);
  }

// Whether pairing is to be done now: with an account, and a code that was neither used nor refused.
bool CsIsPairing(const CsExpert &expert)
  {
   return(!expert.is_pair_refused && !expert.desk.credentials.from_inputs && CsIsSignedIn()
          && CsMustPair(expert.desk.credentials, expert.settings.code));
  }

// What a poll has said beside orders.
void CsNotePoll(CsExpert &expert)
  {
   long seconds = CS_FIRST_POLL_SECONDS;
   CsJsonLong(expert.desk.answer, 0, "next_poll_seconds", seconds);
   expert.poll_ms = MathMin(MathMax(seconds, (long)1), (long)60) * 1000;
   CsNoteWanted(expert.reporting, expert.desk.answer);
  }

// Read the orders of a poll, before anything else is asked: the next answer takes the place of this one.
int CsTakeOffered(CsExpert &expert, CsOrder &orders[])
  {
   int count = 0;
   int list = CsJsonMember(expert.desk.answer, 0, "orders");
   ArrayResize(orders, CS_MOST_OFFERED);
   for(int one = CsJsonFirst(expert.desk.answer, list); one >= 0 && count < CS_MOST_OFFERED;
       one = CsJsonNext(expert.desk.answer, list, one))
     {
      if(!CsTakeIdentity(expert.desk.answer, one, orders[count]))
        {
         Print("Countersign: the desk offers an order that cannot be read");
         continue;
        }
      if(CsTakeOrder(expert.desk.answer, one, orders[count]))
         count++;
      else
         expert.last_refusal = "order " + orders[count].order_id + " is not understood";
     }
   return(count);
  }

// Ask for orders and do what can be done of them.
void CsDoPoll(CsExpert &expert)
  {
   CsOrder orders[];
   expert.polled_tick = GetTickCount64();
   int status = CsDeskAsk(expert.desk, "GET", "poll", "");
   expert.was_polled = expert.was_polled || status == 200 || status == 204;
   expert.poll_due = expert.polled_tick + (ulong)expert.poll_ms + expert.desk.retry_after_ms;
   if(status == 204)
      expert.poll_ms = CS_FIRST_POLL_SECONDS * 1000;
   if(status != 200)
      return;
   CsNotePoll(expert);
   expert.poll_due = expert.polled_tick + (ulong)expert.poll_ms;
   int count = CsTakeOffered(expert, orders);
   for(int i = 0; i < count; i++)
     {
      CsConsider(expert, orders[i]);
      int owed = CsNextToTell(expert.ledger, GetTickCount64());
      if(owed >= 0)
         CsTell(expert.desk, expert.ledger, owed);
     }
   if(count > 0)
      expert.reporting.snapshot_due = 0;
   if(ArraySize(expert.reporting.wanted) > 0 && CsTellWanted(expert))
      expert.poll_due = 0;
  }

// Whether orders wait for the list: before the first poll its beginning is told, so that the desk knows it will come,
// and whoever asks for all of it is told all of it.
bool CsIsListingUrgent(const CsExpert &expert)
  {
   bool begun = expert.reporting.next_symbol > 0;
   return(expert.reporting.is_listing && (expert.reporting.is_wanted || (!expert.was_polled && !begun)));
  }

// Several pages at once, as long as they go quickly.
void CsListSeveral(CsExpert &expert)
  {
   ulong began = GetTickCount64();
   do
      CsListSymbols(expert);
   while(expert.reporting.is_wanted && expert.reporting.is_listing && GetTickCount64() - began < CS_LISTING_MS
         && GetTickCount64() >= expert.reporting.listing_due);
   if(!expert.reporting.is_listing)
      expert.poll_due = 0;
  }

// Do the one thing that is due first.
void CsDoOneJob(CsExpert &expert, const ulong tick)
  {
   bool reports = CsIsSignedIn() && expert.desk.clock.offset_kind != CS_OFFSET_UNKNOWN;
   if(CsClockMustSync(expert.desk.clock, tick))
      CsDeskSync(expert.desk);
   else if(CsIsPairing(expert))
      CsDoPair(expert);
   else if(!CsHasCredentials(expert.desk.credentials))
      return;
   else if(CsNextToTell(expert.ledger, tick) >= 0)
      CsTell(expert.desk, expert.ledger, CsNextToTell(expert.ledger, tick));
   else if(reports && !expert.was_polled && expert.reporting.snapshot_due == 0)
      CsReportSnapshot(expert);
   else if(reports && CsIsListingUrgent(expert) && tick >= expert.reporting.listing_due)
      CsListSeveral(expert);
   else if(tick >= expert.poll_due && CsIsReadyForOrders(expert, tick))
      CsDoPoll(expert);
   else if(reports && tick >= expert.reporting.snapshot_due)
      CsReportSnapshot(expert);
   else if(reports && expert.reporting.is_listing && tick >= expert.reporting.listing_due)
      CsListSymbols(expert);
  }

// One beat.
void CsBeat(CsExpert &expert)
  {
   ulong tick = GetTickCount64();
   if(StringLen(expert.halt) == 0)
     {
      CsObserve(expert, tick);
      CsFollowAll(expert, tick);
      if(CsHttpMayAsk(expert.desk.http))
         CsDoOneJob(expert, tick);
     }
   CsPanelDraw(expert);
  }

#endif
