// Handing one leg to the trade server. Only definite refusals are tried again, and only a few times while there is
// time; what nobody can say is never sent again.
#ifndef COUNTERSIGN_SEND_MQH
#define COUNTERSIGN_SEND_MQH

#include "Guard.mqh"

#define CS_TAKEN 1
#define CS_NOT_TAKEN 2
#define CS_NOBODY_KNOWS 3

#define CS_MOST_RETRIES 2
#define CS_PRICE_PAUSE_MS 250
#define CS_BUSY_PAUSE_MS 1000

// What came of one leg.
struct CsSent
  {
   int    outcome;
   long   retcode;
   string error;        // the desk's code, or the broker's words
   bool   is_waiting;   // at the broker, for its price
   long   ticket;
   double price;
   double volume;
  };

bool CsIsMovedPrice(const long retcode)
  {
   return(retcode == TRADE_RETCODE_REQUOTE || retcode == TRADE_RETCODE_PRICE_CHANGED
          || retcode == TRADE_RETCODE_PRICE_OFF || retcode == TRADE_RETCODE_INVALID_PRICE);
  }

bool CsIsBusy(const long retcode)
  {
   return(retcode == TRADE_RETCODE_TOO_MANY_REQUESTS || retcode == TRADE_RETCODE_FROZEN
          || retcode == TRADE_RETCODE_REJECT_CANCEL);
  }

// Codes that leave open what was done; 0 is none at all. An order that is locked or has changed meanwhile is one that
// the server has.
bool CsIsAmbiguous(const long retcode)
  {
   return(retcode == 0 || retcode == TRADE_RETCODE_ERROR || retcode == TRADE_RETCODE_TIMEOUT
          || retcode == TRADE_RETCODE_CONNECTION || retcode == TRADE_RETCODE_LOCKED
          || retcode == TRADE_RETCODE_ORDER_CHANGED);
  }

bool CsIsTaken(const long retcode)
  {
   return(retcode == TRADE_RETCODE_PLACED || retcode == TRADE_RETCODE_DONE || retcode == TRADE_RETCODE_DONE_PARTIAL);
  }

// Filling modes worth trying, the likeliest first: the symbol's mask says what the broker takes.
void CsFillings(const CsMarket &market, const bool waits, int &kinds[])
  {
   bool fok = (market.filling & SYMBOL_FILLING_FOK) != 0;
   bool ioc = (market.filling & SYMBOL_FILLING_IOC) != 0;
   bool by_request = market.execution == SYMBOL_TRADE_EXECUTION_REQUEST
                     || market.execution == SYMBOL_TRADE_EXECUTION_INSTANT;
   ArrayResize(kinds, 2);
   if(waits)
     {
      kinds[0] = ORDER_FILLING_RETURN;
      kinds[1] = ioc && !fok ? ORDER_FILLING_IOC : ORDER_FILLING_FOK;
      return;
     }
   kinds[0] = fok || by_request ? ORDER_FILLING_FOK : ioc ? ORDER_FILLING_IOC
              : market.execution == SYMBOL_TRADE_EXECUTION_EXCHANGE ? ORDER_FILLING_RETURN : ORDER_FILLING_FOK;
   kinds[1] = kinds[0] == ORDER_FILLING_FOK ? ORDER_FILLING_IOC
              : market.execution == SYMBOL_TRADE_EXECUTION_EXCHANGE ? ORDER_FILLING_RETURN : ORDER_FILLING_FOK;
  }

ENUM_ORDER_TYPE CsOrderType(const int side, const int kind)
  {
   if(kind == CS_LIMIT)
      return(side == CS_BUY ? ORDER_TYPE_BUY_LIMIT : ORDER_TYPE_SELL_LIMIT);
   if(kind == CS_STOP)
      return(side == CS_BUY ? ORDER_TYPE_BUY_STOP : ORDER_TYPE_SELL_STOP);
   return(side == CS_BUY ? ORDER_TYPE_BUY : ORDER_TYPE_SELL);
  }

// The comment of a leg: the desk's, with the number of the leg where there are several.
string CsLegComment(const CsOrder &order, const int leg, const int legs)
  {
   string text = legs > 1 ? order.comment + "/" + IntegerToString(leg + 1) : order.comment;
   return(StringLen(text) > CS_LONGEST_COMMENT ? StringSubstr(text, 0, CS_LONGEST_COMMENT) : text);
  }

// The request for one leg: stop and target are part of it, so no position is ever without them.
void CsLegRequest(const CsOrder &order, const CsPlan &plan, const CsClock &clock, const int leg,
                  MqlTradeRequest &request)
  {
   bool waits = order.kind != CS_MARKET;
   ZeroMemory(request);
   request.action = waits ? TRADE_ACTION_PENDING : TRADE_ACTION_DEAL;
   request.symbol = plan.market.name;
   request.volume = plan.portions[leg];
   request.type = CsOrderType(order.side, order.kind);
   request.sl = order.has_stop ? order.stop : 0.0;
   request.tp = ArraySize(order.targets) > leg ? order.targets[leg] : 0.0;
   request.deviation = (ulong)plan.deviation;
   request.magic = (ulong)CsLegMagic(order.magic, leg);
   request.comment = CsLegComment(order, leg, plan.legs);
   request.type_time = ORDER_TIME_GTC;
   // Where the broker cannot end it, or its clock is not known yet, this program ends it.
   if(waits && (plan.market.expiration & SYMBOL_EXPIRATION_SPECIFIED) != 0 && clock.offset_kind == CS_OFFSET_CERTAIN)
     {
      request.type_time = ORDER_TIME_SPECIFIED;
      request.expiration = (datetime)CsClockServer(clock, order.expires_ms);
     }
  }

void CsNotTaken(CsSent &sent, const long retcode, const string error)
  {
   sent.outcome = CS_NOT_TAKEN;
   sent.retcode = retcode;
   sent.error = error;
   sent.is_waiting = false;
   sent.ticket = 0;
   sent.price = 0.0;
   sent.volume = 0.0;
  }

// Read what the trade server took. A market order that is only on its way, or has no deal to show, is looked for.
void CsReadTaken(const CsOrder &order, const MqlTradeResult &result, CsSent &sent)
  {
   sent.retcode = (long)result.retcode;
   sent.ticket = (long)result.order;
   sent.is_waiting = order.kind != CS_MARKET;
   sent.volume = result.volume;
   sent.price = result.price;
   sent.outcome = CS_TAKEN;
   if(sent.is_waiting)
     {
      // Without a ticket it cannot be told apart; looking finds it by its number.
      sent.outcome = sent.ticket > 0 ? CS_TAKEN : CS_NOBODY_KNOWS;
      return;
     }
   if(result.retcode == TRADE_RETCODE_PLACED || result.deal == 0 || result.price <= 0.0 || result.volume <= 0.0)
     {
      sent.outcome = CS_NOBODY_KNOWS;
      return;
     }
   if(HistoryDealSelect(result.deal) && HistoryDealGetInteger(result.deal, DEAL_POSITION_ID) > 0)
      sent.ticket = HistoryDealGetInteger(result.deal, DEAL_POSITION_ID);
  }

// Whether there is time for another try after a pause; otherwise it is not made.
bool CsPauseFor(const ulong pause, const ulong deadline)
  {
   if(GetTickCount64() + pause >= deadline)
      return(false);
   Sleep((int)pause);
   return(true);
  }

// Hand the request over once. Its code alone tells what was done, and together with a "no" even that does not.
void CsSendOnce(const CsOrder &order, const MqlTradeRequest &request, CsSent &sent)
  {
   MqlTradeResult result;
   ZeroMemory(result);
   bool agreed = OrderSend(request, result);
   long code = (long)result.retcode;
   CsNotTaken(sent, code, result.comment);
   if(CsIsAmbiguous(code) || (!agreed && CsIsTaken(code)))
      sent.outcome = CS_NOBODY_KNOWS;
   else if(CsIsTaken(code))
      CsReadTaken(order, result, sent);
  }

// Whether a definite refusal is tried once more: with another filling, or after a pause, at a new price or where the
// server was busy.
bool CsTryAgain(const CsSent &sent, const ulong deadline, const int other_kind, int &retries, MqlTradeRequest &request)
  {
   ENUM_ORDER_TYPE_FILLING other = (ENUM_ORDER_TYPE_FILLING)other_kind;
   if(sent.retcode == TRADE_RETCODE_INVALID_FILL && request.type_filling != other)
     {
      request.type_filling = other;
      return(true);
     }
   bool busy = CsIsBusy(sent.retcode);
   if(retries >= CS_MOST_RETRIES || (!busy && !CsIsMovedPrice(sent.retcode))
      || !CsPauseFor(busy ? CS_BUSY_PAUSE_MS : CS_PRICE_PAUSE_MS, deadline))
      return(false);
   retries++;
   return(true);
  }

// Send one leg before a tick, and say what came of it. Each try goes out only if everything still allows it; start is
// where the price stood when the order was planned.
void CsSendLeg(const CsExpert &expert, const CsOrder &order, CsPlan &plan, const int leg, const double start,
               const ulong deadline, CsSent &sent)
  {
   MqlTradeRequest request;
   int kinds[];
   int retries = 0;
   CsLegRequest(order, plan, expert.desk.clock, leg, request);
   CsFillings(plan.market, order.kind != CS_MARKET, kinds);
   request.type_filling = (ENUM_ORDER_TYPE_FILLING)kinds[0];
   CsNotTaken(sent, 0, "");
   do
     {
      string refusal = CsSendRefusal(expert, order, plan, start, deadline);
      if(StringLen(refusal) > 0)
        {
         sent.error = refusal;
         return;
        }
      request.price = CsLevel(plan.market, plan.base);
      CsSendOnce(order, request, sent);
     }
   while(sent.outcome == CS_NOT_TAKEN && CsTryAgain(sent, deadline, kinds[1], retries, request));
  }

#endif
