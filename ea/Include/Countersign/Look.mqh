// What an order has left behind at the broker, told by the numbers of its legs: orders that wait, deals, positions, and
// orders that ended without any.
#ifndef COUNTERSIGN_LOOK_MQH
#define COUNTERSIGN_LOOK_MQH

#include "Clock.mqh"
#include "Ledger.mqh"
#include "Market.mqh"

// So far before its time an order is looked for: clocks differ, one that is only estimated by hours, and the trade
// server's own goes forward by one in spring.
#define CS_DAY_SECONDS 86400

struct CsTraces
  {
   double opened;          // lots of deals that brought something in, or of the positions where deals lag behind
   double paid;            // lots times price of these
   double closed;          // lots of deals that took it out again
   double closed_for;      // lots times price of those
   double money;           // what all these deals made, with swap, commission and fee
   bool   is_shared;       // others have traded in the same position: its money is not this order's alone
   bool   is_set_off;      // it only closed what others had opened
   bool   is_on_its_way;
   int    positions;       // of it that are open
   int    waiting;         // orders of it that wait
   double waiting_lots;
   long   ticket;          // of the position of the first leg
   int    ticket_leg;
   long   waiting_ticket;
   long   ended;           // how an order of it ended without a deal, as ORDER_STATE_...; -1 for none
   long   reason;          // of the last deal that closed something; -1 for none
   long   reason_at;
   long   identifiers[];   // of the positions it has opened
  };

void CsTracesClear(CsTraces &traces)
  {
   traces.opened = 0.0;
   traces.paid = 0.0;
   traces.closed = 0.0;
   traces.closed_for = 0.0;
   traces.money = 0.0;
   traces.is_shared = false;
   traces.is_set_off = false;
   traces.is_on_its_way = false;
   traces.positions = 0;
   traces.waiting = 0;
   traces.waiting_lots = 0.0;
   traces.ticket = 0;
   traces.ticket_leg = CS_MOST_LEGS;
   traces.waiting_ticket = 0;
   traces.ended = -1;
   traces.reason = -1;
   traces.reason_at = 0;
   ArrayResize(traces.identifiers, 0);
  }

bool CsIsOurs(const CsTraces &traces, const long identifier)
  {
   for(int i = 0; i < ArraySize(traces.identifiers); i++)
      if(traces.identifiers[i] == identifier)
         return(true);
   return(false);
  }

void CsNotePosition(CsTraces &traces, const int leg, const long identifier)
  {
   if(leg < traces.ticket_leg)
     {
      traces.ticket = identifier;
      traces.ticket_leg = leg;
     }
   int size = ArraySize(traces.identifiers);
   if(CsIsOurs(traces, identifier))
      return;
   ArrayResize(traces.identifiers, size + 1);
   traces.identifiers[size] = identifier;
  }

// Orders that are there: they wait for their price, or are being executed.
void CsLookAtOrders(const long magic, CsTraces &traces)
  {
   for(int i = OrdersTotal() - 1; i >= 0; i--)
     {
      ulong ticket = OrderGetTicket(i);
      if(ticket == 0 || CsLegOf(magic, OrderGetInteger(ORDER_MAGIC)) < 0)
         continue;
      long type = OrderGetInteger(ORDER_TYPE);
      long state = OrderGetInteger(ORDER_STATE);
      if(type == ORDER_TYPE_BUY || type == ORDER_TYPE_SELL || state == ORDER_STATE_STARTED
         || state == ORDER_STATE_REQUEST_ADD)
        {
         traces.is_on_its_way = true;
         continue;
        }
      traces.waiting++;
      traces.waiting_lots += OrderGetDouble(ORDER_VOLUME_CURRENT);
      if(traces.waiting_ticket == 0 || (long)ticket < traces.waiting_ticket)
         traces.waiting_ticket = (long)ticket;
     }
  }

// From when on, by the trade server's clock, an order is looked for.
long CsHistorySince(const CsClock &clock, const long issued_ms)
  {
   return(CsClockServer(clock, issued_ms) - CS_DAY_SECONDS);
  }

bool CsSelectHistory(const CsClock &clock, const long issued_ms)
  {
   long until = CsClockServer(clock, CsClockNow(clock, GetTickCount64())) + 2 * CS_DAY_SECONDS;
   return(HistorySelect((datetime)CsHistorySince(clock, issued_ms), (datetime)until));
  }

bool CsIsTrade(const ulong deal)
  {
   long type = HistoryDealGetInteger(deal, DEAL_TYPE);
   return(type == DEAL_TYPE_BUY || type == DEAL_TYPE_SELL);
  }

// Whether the trade server closed by itself: such a deal bears its position's number and opens nothing.
bool CsIsByServer(const long reason)
  {
   return(reason == DEAL_REASON_SL || reason == DEAL_REASON_TP || reason == DEAL_REASON_SO);
  }

// Deals that executed the order. On a netting account one may have closed what others had opened.
void CsLookAtFills(const long magic, const int side, CsTraces &traces)
  {
   for(int i = 0; i < HistoryDealsTotal(); i++)
     {
      ulong deal = HistoryDealGetTicket(i);
      int leg = CsLegOf(magic, HistoryDealGetInteger(deal, DEAL_MAGIC));
      if(deal == 0 || leg < 0 || !CsIsTrade(deal) || HistoryDealGetInteger(deal, DEAL_TYPE) != side
         || CsIsByServer(HistoryDealGetInteger(deal, DEAL_REASON)))
         continue;
      double lots = HistoryDealGetDouble(deal, DEAL_VOLUME);
      traces.opened += lots;
      traces.paid += lots * HistoryDealGetDouble(deal, DEAL_PRICE);
      traces.is_set_off = HistoryDealGetInteger(deal, DEAL_ENTRY) == DEAL_ENTRY_OUT;
      CsNotePosition(traces, leg, HistoryDealGetInteger(deal, DEAL_POSITION_ID));
     }
  }

// All deals of its positions: what went out again, and the money.
void CsLookAtCloses(const long magic, CsTraces &traces)
  {
   for(int i = 0; i < HistoryDealsTotal(); i++)
     {
      ulong deal = HistoryDealGetTicket(i);
      if(deal == 0 || !CsIsTrade(deal) || !CsIsOurs(traces, HistoryDealGetInteger(deal, DEAL_POSITION_ID)))
         continue;
      traces.money += HistoryDealGetDouble(deal, DEAL_PROFIT) + HistoryDealGetDouble(deal, DEAL_SWAP)
                      + HistoryDealGetDouble(deal, DEAL_COMMISSION) + HistoryDealGetDouble(deal, DEAL_FEE);
      long entry = HistoryDealGetInteger(deal, DEAL_ENTRY);
      if(entry == DEAL_ENTRY_IN && CsLegOf(magic, HistoryDealGetInteger(deal, DEAL_MAGIC)) < 0)
         traces.is_shared = true;
      if(entry == DEAL_ENTRY_IN)
         continue;
      traces.closed += HistoryDealGetDouble(deal, DEAL_VOLUME);
      traces.closed_for += HistoryDealGetDouble(deal, DEAL_VOLUME) * HistoryDealGetDouble(deal, DEAL_PRICE);
      long at = HistoryDealGetInteger(deal, DEAL_TIME_MSC);
      if(at >= traces.reason_at)
        {
         traces.reason = HistoryDealGetInteger(deal, DEAL_REASON);
         traces.reason_at = at;
        }
     }
  }

// Positions that are open: those with its numbers, and those its deals have gone into.
void CsLookAtPositions(const long magic, CsTraces &traces)
  {
   bool lagging = traces.opened == 0.0;
   for(int i = PositionsTotal() - 1; i >= 0; i--)
     {
      if(PositionGetTicket(i) == 0)
         continue;
      int leg = CsLegOf(magic, PositionGetInteger(POSITION_MAGIC));
      long identifier = PositionGetInteger(POSITION_IDENTIFIER);
      if(leg < 0 && !CsIsOurs(traces, identifier))
         continue;
      traces.positions++;
      if(leg < 0 || !lagging)
         continue;
      double lots = PositionGetDouble(POSITION_VOLUME);
      traces.opened += lots;
      traces.paid += lots * PositionGetDouble(POSITION_PRICE_OPEN);
      CsNotePosition(traces, leg, identifier);
     }
  }

// Orders that are over. One that was filled without a deal to show is still on its way.
void CsLookAtEnds(const long magic, CsTraces &traces)
  {
   for(int i = 0; i < HistoryOrdersTotal(); i++)
     {
      ulong ticket = HistoryOrderGetTicket(i);
      if(ticket == 0 || CsLegOf(magic, HistoryOrderGetInteger(ticket, ORDER_MAGIC)) < 0
         || CsIsByServer(HistoryOrderGetInteger(ticket, ORDER_REASON)))
         continue;
      long state = HistoryOrderGetInteger(ticket, ORDER_STATE);
      if(state == ORDER_STATE_CANCELED || state == ORDER_STATE_EXPIRED || state == ORDER_STATE_REJECTED)
         traces.ended = state;
      else if((state == ORDER_STATE_FILLED || state == ORDER_STATE_PARTIAL) && traces.opened == 0.0)
         traces.is_on_its_way = true;
     }
  }

// Everything there is of an order. False when the terminal cannot tell.
bool CsLook(const CsClock &clock, const CsRecord &record, CsTraces &traces)
  {
   CsTracesClear(traces);
   if(!CsSelectHistory(clock, record.issued_ms))
      return(false);
   CsLookAtOrders(record.magic, traces);
   CsLookAtFills(record.magic, record.side, traces);
   CsLookAtCloses(record.magic, traces);
   CsLookAtPositions(record.magic, traces);
   CsLookAtEnds(record.magic, traces);
   return(true);
  }

// Whether something was found that waits, is being executed, or was.
bool CsIsAlive(const CsTraces &traces)
  {
   return(traces.opened > 0.0 || traces.waiting > 0 || traces.is_on_its_way);
  }

// Whether anything at all was found.
bool CsIsFound(const CsTraces &traces)
  {
   return(CsIsAlive(traces) || traces.ended >= 0);
  }

#endif
