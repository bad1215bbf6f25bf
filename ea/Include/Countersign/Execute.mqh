// From an offered order to an executed one. What may have been sent is on the disk before it is sent, the desk is asked
// before anything goes out, and whatever nobody can say is looked for and never sent again.
#ifndef COUNTERSIGN_EXECUTE_MQH
#define COUNTERSIGN_EXECUTE_MQH

#include "Acks.mqh"
#include "Follow.mqh"
#include "Reasons.mqh"
#include "Send.mqh"

#define CS_LEASE_MS 15000
// With less left of it nothing is sent; before the desk is asked there has to be time for its answer as well.
#define CS_LEASE_SPARE_MS 5000
#define CS_BEGIN_SPARE_MS 8000
#define CS_EXPIRY_SPARE_MS 1000
// An order with so little time left is refused with its reason, for there will not be another offer.
#define CS_LAST_OFFER_MS 20000

string CsOrderText(const CsOrder &order)
  {
   string kind = order.kind == CS_MARKET ? "" : order.kind == CS_LIMIT ? " limit" : " stop";
   return((order.side == CS_BUY ? "buy " : "sell ") + CsShortText(order.volume) + " " + order.symbol + kind);
  }

void CsSay(CsExpert &expert, const CsOrder &order, const string what)
  {
   expert.last_order = CsOrderText(order) + ": " + what;
   Print("Countersign: order " + order.order_id + ", " + expert.last_order);
  }

// Why an order is not executed, in words, for the panel.
void CsShowRefusal(CsExpert &expert, const CsOrder &order, const string code)
  {
   expert.last_refusal = CsOrderText(order) + ": " + CsWords(code);
  }

// The record of an order as it is offered.
void CsRecordOf(const CsOrder &order, const long now, const int state, CsRecord &record)
  {
   CsRecordClear(record);
   record.order_id = order.order_id;
   record.magic = order.magic;
   record.seq = order.seq;
   record.login = order.login;
   record.server = order.server;
   record.symbol = order.symbol;
   record.side = order.side;
   record.kind = order.kind;
   record.volume = order.volume;
   record.issued_ms = order.issued_ms;
   record.expires_ms = order.expires_ms;
   record.began_ms = now;
   record.state = state;
  }

// Keep a new record; where it is, or -1 when it cannot be kept: then it is as if the order had not been seen.
int CsKeepNew(CsExpert &expert, const CsRecord &record)
  {
   int place = CsLedgerAdd(expert.ledger, record);
   if(place < 0)
     {
      expert.last_refusal = "Too many orders are open here.";
      return(-1);
     }
   if(CsKeep(expert))
      return(place);
   CsLedgerDrop(expert.ledger, place);
   return(-1);
  }

// The order is not executed here, for a reason that the desk is told.
void CsRefuse(CsExpert &expert, const CsOrder &order, const int known, const string code)
  {
   CsRecord record;
   CsRecordOf(order, CsDeskNow(expert.desk), CS_OVER, record);
   record.reached = CS_REJECTED;
   record.error = code;
   CsShowRefusal(expert, order, code);
   CsSay(expert, order, "refused, " + code);
   if(known < 0)
     {
      CsKeepNew(expert, record);
      return;
     }
   expert.ledger.open[known] = record;
   CsKeep(expert);
  }

// The order is looked for, and what is found is told; it is not sent.
void CsLookFor(CsExpert &expert, const CsOrder &order, const int known)
  {
   CsRecord record;
   if(known >= 0 && expert.ledger.open[known].state != CS_ASKING)
      return;
   CsRecordOf(order, CsDeskNow(expert.desk), CS_LOOKING, record);
   string name = CsBrokerSymbol(order.symbol, expert.settings.prefix, expert.settings.suffix);
   record.symbol = StringLen(name) > 0 ? name : order.symbol;
   if(known < 0)
     {
      CsKeepNew(expert, record);
      return;
     }
   expert.ledger.open[known].state = CS_LOOKING;
   CsKeep(expert);
  }

// Whether there is still time: of the lease, reckoned from before the poll went out, and of the order itself.
bool CsIsInTime(const CsExpert &expert, const CsOrder &order, const int spare_ms)
  {
   ulong now = GetTickCount64();
   return(CsClockLatest(expert.desk.clock, now) < order.expires_ms - CS_EXPIRY_SPARE_MS
          && now - expert.polled_tick + spare_ms < CS_LEASE_MS);
  }

// The tick from which on nothing of it is sent any more.
ulong CsDeadline(const CsExpert &expert, const CsOrder &order)
  {
   ulong now = GetTickCount64();
   long left = order.expires_ms - CS_EXPIRY_SPARE_MS - CsClockLatest(expert.desk.clock, now);
   return(MathMin(expert.polled_tick + CS_LEASE_MS, now + (ulong)MathMax(left, (long)0)));
  }

// What all legs have come to so far, in the record.
void CsNoteSent(CsExpert &expert, const int place, const CsPlan &plan, const CsTraces &sum, const int taken,
                const CsSent &last)
  {
   CsRecord record = expert.ledger.open[place];
   if(taken == 0)
      CsFailed(record, CS_REJECTED, last.retcode, last.error);
   else
     {
      if(taken < plan.legs)
         record.error = "Only " + IntegerToString(taken) + " of " + IntegerToString(plan.legs)
                        + " parts were executed. " + last.error;
      if(sum.opened > 0.0)
         CsNoteFilled(record, sum);
      else
         CsNotePlaced(record, sum.waiting_ticket);
     }
   expert.ledger.open[place] = record;
   CsKeep(expert);
  }

// Add what came of a leg that was taken.
void CsAddSent(CsTraces &sum, const int leg, const CsSent &sent)
  {
   sum.opened += sent.is_waiting ? 0.0 : sent.volume;
   sum.paid += sent.is_waiting ? 0.0 : sent.volume * sent.price;
   sum.ticket = leg == 0 ? sent.ticket : sum.ticket;
   sum.waiting_ticket = leg == 0 ? sent.ticket : sum.waiting_ticket;
  }

// Send the legs one after the other. Where nobody can say what became of one, all of it is looked for.
void CsSendAll(CsExpert &expert, const CsOrder &order, CsPlan &plan, const int place)
  {
   CsTraces sum;
   CsSent sent;
   CsTracesClear(sum);
   ulong deadline = CsDeadline(expert, order);
   double start = plan.base;
   int taken = 0;
   CsNotTaken(sent, 0, "");
   for(int leg = 0; leg < plan.legs; leg++)
     {
      CsSendLeg(expert, order, plan, leg, start, deadline, sent);
      if(sent.outcome == CS_NOBODY_KNOWS)
        {
         CsSay(expert, order, "sent, and being looked for (" + IntegerToString(sent.retcode) + ")");
         return;
        }
      if(sent.outcome != CS_TAKEN)
         break;
      taken++;
      CsAddSent(sum, leg, sent);
     }
   CsNoteSent(expert, place, plan, sum, taken, sent);
   if(taken < plan.legs)
      CsShowRefusal(expert, order, sent.error);
   CsSay(expert, order, taken == 0 ? "not taken, " + IntegerToString(sent.retcode) + " " + sent.error
         : order.kind == CS_MARKET ? "filled" : "placed");
  }

// The desk has said that this terminal may: note that, and send.
void CsBegun(CsExpert &expert, const CsOrder &order, CsPlan &plan, const int place)
  {
   expert.ledger.open[place].state = CS_LOOKING;
   if(!CsKeep(expert) || !CsCountOrder(expert.days) || !CsIsInTime(expert, order, CS_LEASE_SPARE_MS))
     {
      CsFailed(expert.ledger.open[place], CS_FAILED, 0, "not_executed_in_time");
      CsKeep(expert);
      CsSay(expert, order, "too late");
      return;
     }
   CsSendAll(expert, order, plan, place);
  }

// Ask the desk whether this order may be sent now, and send it only after a genuine yes.
void CsBegin(CsExpert &expert, const CsOrder &order, CsPlan &plan, const int known)
  {
   CsRecord record;
   string inside = "", order_id = "";
   CsRecordOf(order, CsDeskNow(expert.desk), CS_ASKING, record);
   record.symbol = plan.market.name;
   record.volume = plan.volume;
   int place = known;
   if(known < 0)
      place = CsKeepNew(expert, record);
   if(place < 0)
      return;
   CsJsonAddText(inside, "order_id", order.order_id);
   int status = CsDeskAsk(expert.desk, "POST", "begin", "{" + inside + "}");
   if(status == 200 && CsJsonText(expert.desk.answer, 0, "order_id", order_id) && order_id == order.order_id)
     {
      CsBegun(expert, order, plan, place);
      return;
     }
   if(status == 409 && expert.desk.code == "already_begun")
      expert.ledger.open[place].state = CS_LOOKING;
   else if(status == CS_NOT_ASKED || (status >= 400 && status < 500))
      CsLedgerDrop(expert.ledger, place);   // the desk has not begun it, and will offer it again if it may
   CsKeep(expert);
   CsSay(expert, order, status == CS_UNHEARD ? "the desk did not answer, not sent" : "not sent, " + expert.desk.code);
  }

// Look for traces of an order that the desk offers as a new one. False when this terminal cannot tell yet.
bool CsLookBefore(const CsExpert &expert, const CsOrder &order, CsTraces &traces)
  {
   CsRecord record;
   CsRecordOf(order, CsDeskNow(expert.desk), CS_ASKING, record);
   return(CsIsSettled(expert, GetTickCount64()) && CsLook(expert.desk.clock, record, traces));
  }

// Take an order on, if everything allows it and the broker surely has nothing of it yet: desks and files can be put
// back to where they were. known is its record when it was asked about before, else -1.
void CsTakeOn(CsExpert &expert, CsOrder &order, const int known)
  {
   CsPlan plan;
   CsTraces traces;
   if(!CsIsInTime(expert, order, CS_BEGIN_SPARE_MS))
      return;   // another offer will come, or the desk says that it was too late
   if(!CsLookBefore(expert, order, traces))
      CsPlanLater(plan, "terminal_away");
   else if(CsIsFound(traces))
     {
      CsLookFor(expert, order, known);
      return;
     }
   else if(CsPlanOrder(expert.settings, expert.desk.clock, order, plan))
      plan.refusal = CsFenceRefusal(expert, order, plan, 0);
   plan.is_for_later = plan.is_for_later || plan.refusal == "terminal_away";
   if(plan.is_for_later && CsDeskNow(expert.desk) + CS_LAST_OFFER_MS < order.expires_ms)
     {
      CsSay(expert, order, "waits, " + plan.refusal);
      return;
     }
   if(StringLen(plan.refusal) > 0)
      CsRefuse(expert, order, known, plan.refusal);
   else if(CsIsInTime(expert, order, CS_BEGIN_SPARE_MS))
      CsBegin(expert, order, plan, known);
  }

// An order as the desk offers it. One that is known here is not executed again, whatever the desk says; one that
// somebody has begun is looked for where it would be.
void CsConsider(CsExpert &expert, CsOrder &order)
  {
   int known = CsLedgerFind(expert.ledger, order.magic);
   bool fresh = known < 0 && !CsLedgerRemembers(expert.ledger, order.magic);
   bool asked = known >= 0 && expert.ledger.open[known].state == CS_ASKING;
   if(order.was_begun || (!fresh && !asked))
     {
      if(CsIsItsAccount(order))
         CsLookFor(expert, order, known);
     }
   else if(!CsIsItsAccount(order))
      CsRefuse(expert, order, known, "wrong_account");
   else if(fresh && order.seq <= expert.ledger.floor_seq)
      CsRefuse(expert, order, known, "order_replayed");
   else
      CsTakeOn(expert, order, known);
  }

#endif
