// What becomes of orders after they were sent: found or not, filled, withdrawn, closed. Nothing here sends an order;
// one that waits beyond its time is withdrawn.
#ifndef COUNTERSIGN_FOLLOW_MQH
#define COUNTERSIGN_FOLLOW_MQH

#include "Look.mqh"

// What has left no trace for so long, at a terminal that is connected, was not carried out.
#define CS_SHOWS_WITHIN_MS 30000
// And what is gone, without deals that say how, is over after this.
#define CS_DEALS_WITHIN_MS 60000
#define CS_LOOK_EVERY_MS 10000
#define CS_WITHDRAW_EVERY_MS 10000

// An average as the desk reads it.
string CsAverageText(const double sum, const double lots, const string symbol)
  {
   return(lots > 0.0 ? CsPriceText(sum / lots, (int)SymbolInfoInteger(symbol, SYMBOL_DIGITS)) : "");
  }

string CsLotsText(const double lots)
  {
   return(CsShortText(lots));
  }

void CsFailed(CsRecord &record, const int reached, const long retcode, const string error)
  {
   record.state = CS_OVER;
   record.reached = reached;
   record.retcode = retcode;
   record.error = error;
  }

// An order has been filled, wholly or as far as it ever will be.
void CsNoteFilled(CsRecord &record, const CsTraces &traces)
  {
   record.state = CS_OPEN;
   record.reached = CS_FILLED;
   record.ticket = traces.ticket;
   record.price = CsAverageText(traces.paid, traces.opened, record.symbol);
   record.filled = CsLotsText(traces.opened);
   bool whole = !CsIsMore(record.volume, traces.opened, 0.01);
   record.retcode = whole ? TRADE_RETCODE_DONE : TRADE_RETCODE_DONE_PARTIAL;
   if(whole)
      record.error = "";
   else if(StringLen(record.error) == 0)
      record.error = "Only " + record.filled + " of " + CsLotsText(record.volume) + " lots were filled.";
  }

// An order waits at the broker.
void CsNotePlaced(CsRecord &record, const long ticket)
  {
   record.state = CS_WAITING;
   record.reached = CS_PLACED;
   record.ticket = ticket;
   record.retcode = TRADE_RETCODE_PLACED;
  }

// An order has ended at the broker without a deal.
void CsNoteEnded(CsRecord &record, const long state, const bool too_late)
  {
   if(state == ORDER_STATE_REJECTED)
      CsFailed(record, record.told == CS_PLACED ? CS_FAILED : CS_REJECTED, TRADE_RETCODE_REJECT, "");
   else if(state == ORDER_STATE_EXPIRED || too_late)
      CsFailed(record, CS_FAILED, 0, "not_reached_in_time");
   else
      CsFailed(record, CS_FAILED, 0, "cancelled");
  }

// Why a position was closed, in the desk's words; empty where they have none.
string CsCloseReason(const long reason)
  {
   if(reason == DEAL_REASON_SL)
      return("stop_loss");
   if(reason == DEAL_REASON_TP)
      return("take_profit");
   if(reason == DEAL_REASON_SO)
      return("stop_out");
   return(reason == DEAL_REASON_CLIENT || reason == DEAL_REASON_MOBILE || reason == DEAL_REASON_WEB
          || reason == DEAL_REASON_EXPERT ? "client" : "");
  }

// All of an order is out again. Its money is told where nobody else's is in it.
void CsNoteClosed(CsRecord &record, const CsTraces &traces)
  {
   record.state = CS_OVER;
   record.reached = CS_CLOSED;
   record.close_reason = CsCloseReason(traces.reason);
   record.close_price = CsAverageText(traces.closed_for, traces.closed, record.symbol);
   record.close_volume = traces.is_shared || traces.closed == 0.0 ? record.filled : CsLotsText(traces.closed);
   if(!traces.is_shared && !traces.is_set_off && traces.closed > 0.0)
      record.profit = CsDecimalText(traces.money, (int)AccountInfoInteger(ACCOUNT_CURRENCY_DIGITS));
  }

// Whether something has been so for long enough. since is the tick it began at, and is set the first time.
bool CsIsSoFor(ulong &since, const ulong milliseconds, const ulong tick)
  {
   if(since == 0)
      since = tick;
   return(tick - since >= milliseconds);
  }

// For how long there has been no trace of it, or no word of how it ended.
bool CsIsMissingFor(CsRecord &record, const ulong milliseconds, const ulong tick)
  {
   return(CsIsSoFor(record.missing_since, milliseconds, tick));
  }

// What was counted while the terminal could look is nothing once it cannot.
void CsForgetMissing(CsRecord &record)
  {
   record.missing_since = 0;
   record.partly_since = 0;
  }

bool CsIsYoung(const CsClock &clock, const CsRecord &record, const ulong tick)
  {
   return(CsClockNow(clock, tick) - record.began_ms < CS_SHOWS_WITHIN_MS);
  }

// Look for an order that was begun. Whether something about it is known now that was not known before. That one of its
// orders has ended says nothing of another try, which may show up yet.
bool CsFollowLooking(const CsClock &clock, CsRecord &record, const CsTraces &traces, const ulong tick)
  {
   bool too_late = CsClockNow(clock, tick) >= record.expires_ms;
   if(CsIsAlive(traces))
      record.missing_since = 0;
   bool young = CsIsYoung(clock, record, tick);
   bool whole = !CsIsMore(record.volume, traces.opened + traces.waiting_lots, 0.01);
   // Another leg may show up yet.
   if(traces.is_on_its_way || (young && !whole && traces.opened + traces.waiting_lots > 0.0))
      return(false);
   if(traces.opened > 0.0)
      CsNoteFilled(record, traces);
   else if(traces.waiting > 0)
      CsNotePlaced(record, traces.waiting_ticket);
   else if(!CsIsMissingFor(record, CS_SHOWS_WITHIN_MS, tick))
      return(false);
   else if(traces.ended >= 0)
      CsNoteEnded(record, traces.ended, too_late && record.kind != CS_MARKET);
   else if(record.state == CS_LOOKING || too_late)
      CsFailed(record, CS_FAILED, record.retcode, "not_executed");
   else
      return(false);
   return(true);
  }

// Follow an order that waited when it was last seen. One that was sent a moment ago may not be shown yet.
bool CsFollowWaiting(const CsClock &clock, CsRecord &record, const CsTraces &traces, const ulong tick)
  {
   bool partly = traces.opened > 0.0 && (traces.waiting > 0 || traces.is_on_its_way);
   if(!partly)
      record.partly_since = 0;
   if(CsIsFound(traces))
      record.missing_since = 0;
   if(traces.opened > 0.0 && (!partly || CsIsSoFor(record.partly_since, CS_LOOK_EVERY_MS, tick)))
      CsNoteFilled(record, traces);
   else if(!CsIsAlive(traces) && traces.ended >= 0 && !CsIsYoung(clock, record, tick))
      CsNoteEnded(record, traces.ended, CsClockNow(clock, tick) >= record.expires_ms);
   else if(!CsIsFound(traces) && CsIsMissingFor(record, CS_DEALS_WITHIN_MS, tick))
      CsFailed(record, CS_FAILED, 0, "cancelled");
   else
      return(false);
   CsForgetMissing(record);
   return(true);
  }

// Follow an order that has opened a position, until all of it is out again and its deals say so. Other parts of it may
// wait, or be about to be filled.
bool CsFollowOpen(CsRecord &record, const CsTraces &traces, const ulong tick)
  {
   bool told = traces.opened > 0.0 && !CsIsMore(traces.opened, traces.closed, 0.01);
   bool more = traces.waiting > 0 || (traces.is_on_its_way && traces.opened > 0.0);
   if(more || (traces.positions > 0 && !traces.is_set_off))
     {
      record.missing_since = 0;
      return(false);
     }
   if(!traces.is_set_off && !told && !CsIsMissingFor(record, CS_DEALS_WITHIN_MS, tick))
      return(false);
   CsNoteClosed(record, traces);
   return(true);
  }

// Whether a quick look says that nothing has changed: a position of it is open, or an order of it still waits.
bool CsIsUnchanged(const CsRecord &record)
  {
   for(int i = PositionsTotal() - 1; i >= 0; i--)
      if(PositionGetTicket(i) != 0 && (CsLegOf(record.magic, PositionGetInteger(POSITION_MAGIC)) >= 0
                                       || PositionGetInteger(POSITION_IDENTIFIER) == record.ticket))
         return(record.state == CS_OPEN);
   for(int i = OrdersTotal() - 1; i >= 0; i--)
      if(OrderGetTicket(i) != 0 && CsLegOf(record.magic, OrderGetInteger(ORDER_MAGIC)) >= 0)
         return(record.state == CS_WAITING);
   return(false);
  }

// Follow one order at a terminal that is connected. What is there is believed at once; that something is gone only
// after the terminal has had time to hear of everything.
bool CsFollow(const CsClock &clock, CsRecord &record, const bool is_settled, const ulong tick)
  {
   CsTraces traces;
   if(record.state == CS_OVER)
      return(false);
   if((record.state == CS_OPEN || record.state == CS_WAITING) && CsIsUnchanged(record))
     {
      CsForgetMissing(record);
      return(false);
     }
   if(!CsLook(clock, record, traces) || (!is_settled && (record.state == CS_OPEN || !CsIsAlive(traces))))
      return(false);
   if(record.state == CS_OPEN)
      return(CsFollowOpen(record, traces, tick));
   return(record.state == CS_WAITING ? CsFollowWaiting(clock, record, traces, tick)
          : CsFollowLooking(clock, record, traces, tick));
  }

// Withdraw what waits beyond its time, where the broker has not ended it. What comes of it is seen by the next look.
void CsWithdraw(CsRecord &record, const ulong tick)
  {
   MqlTradeRequest request;
   MqlTradeResult result;
   if(record.kind == CS_MARKET || record.state == CS_OVER || tick < record.withdraw_at)
      return;
   record.withdraw_at = tick + CS_WITHDRAW_EVERY_MS;
   for(int i = OrdersTotal() - 1; i >= 0; i--)
     {
      ulong ticket = OrderGetTicket(i);
      if(ticket == 0 || CsLegOf(record.magic, OrderGetInteger(ORDER_MAGIC)) < 0)
         continue;
      ZeroMemory(request);
      ZeroMemory(result);
      request.action = TRADE_ACTION_REMOVE;
      request.order = ticket;
      if(!OrderSend(request, result))
         Print("Countersign: order " + IntegerToString((long)ticket) + " could not be withdrawn ("
               + IntegerToString((long)result.retcode) + ")");
     }
  }

#endif
