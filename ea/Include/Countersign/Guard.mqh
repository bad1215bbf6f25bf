// What stands between an order and the trade server: the local fence, and right before each request everything that may
// have changed since the order was planned. The desk was asked meanwhile, other legs were sent, and pauses were made.
#ifndef COUNTERSIGN_GUARD_MQH
#define COUNTERSIGN_GUARD_MQH

#include "Follow.mqh"
#include "State.mqh"

// Whether the account that is signed in is the order's.
bool CsIsItsAccount(const CsOrder &order)
  {
   return(order.login == CsLogin() && order.server == CsServer());
  }

// Lots of one order that are open or wait, as far as the terminal shows them.
double CsShownLots(const CsRecord &record)
  {
   double shown = 0.0;
   for(int i = PositionsTotal() - 1; i >= 0; i--)
      if(PositionGetTicket(i) != 0 && (CsLegOf(record.magic, PositionGetInteger(POSITION_MAGIC)) >= 0
                                       || PositionGetInteger(POSITION_IDENTIFIER) == record.ticket))
         shown += PositionGetDouble(POSITION_VOLUME);
   for(int i = OrdersTotal() - 1; i >= 0; i--)
      if(OrderGetTicket(i) != 0 && CsLegOf(record.magic, OrderGetInteger(ORDER_MAGIC)) >= 0)
         shown += OrderGetDouble(ORDER_VOLUME_CURRENT);
   return(shown);
  }

// Lots that the broker has or may have, and that the terminal does not show yet: of orders that are looked for, and of
// those that were sent a moment ago. The order with this number does not count.
double CsLotsUnderWay(const CsExpert &expert, const long magic)
  {
   double lots = 0.0;
   for(int i = 0; i < expert.ledger.count; i++)
     {
      if(expert.ledger.open[i].magic == magic || expert.ledger.open[i].login != CsLogin()
         || expert.ledger.open[i].server != CsServer())
         continue;
      int state = expert.ledger.open[i].state;
      bool young = CsIsYoung(expert.desk.clock, expert.ledger.open[i], GetTickCount64());
      if(state == CS_LOOKING || (young && (state == CS_WAITING || state == CS_OPEN)))
         lots += MathMax(expert.ledger.open[i].volume - CsShownLots(expert.ledger.open[i]), 0.0);
     }
   return(lots);
  }

// What the fence says to a planned order. counted is how many of today's orders it is itself: 1 once it was begun.
string CsFenceRefusal(const CsExpert &expert, const CsOrder &order, const CsPlan &plan, const int counted)
  {
   CsPolicyFacts facts;
   // Without knowing the day nobody can say that its limits are kept.
   if(!CsIsDayOf(expert.days, order.login, order.server))
      return("terminal_away");
   facts.day_loss = 0.0;
   if(expert.settings.policy.max_daily_loss > 0.0 && !CsDayLoss(expert.days, facts.day_loss))
      return("terminal_away");
   facts.symbol = plan.market.name;
   facts.volume = plan.volume;
   facts.held_lots = CsHeldLots("", CS_BUY, order.magic) + CsLotsUnderWay(expert, order.magic);
   facts.has_stop = order.has_stop;
   facts.spread_points = CsSpreadPoints(plan.market);
   facts.orders_today = (int)expert.days.accounts[expert.days.current].orders - counted;
   facts.silence_ms = CsDeskSilence(expert.desk);
   return(CsPolicyRefusal(expert.settings.policy, facts));
  }

// Why there is no price to send at any more; empty where the plan has the one of now. start is where it was planned:
// further than it may be off it does not go from there either.
string CsPriceRefusal(const CsClock &clock, const CsOrder &order, CsPlan &plan, const double start)
  {
   if(!CsReadQuote(plan.market))
      return("no_quote");
   string code = CsQuoteRefusal(plan.market, clock, GetTickCount64());
   if(StringLen(code) > 0)
      return(code);
   if(!CsPlanPrices(order, plan))
      return(plan.refusal);
   double worse = (plan.base - start) * CsSign(order.side);
   return(CsIsMore(worse, plan.deviation * plan.market.point, plan.market.point) ? "price_moved" : "");
  }

// Why a request does not go out at this moment, as the desk's code; empty where it may.
string CsSendRefusal(const CsExpert &expert, const CsOrder &order, CsPlan &plan, const double start,
                     const ulong deadline)
  {
   if(GetTickCount64() >= deadline)
      return("not_executed_in_time");
   if(!CsIsItsAccount(order))
      return("wrong_account");
   string code = CsTradingRefusal();
   if(StringLen(code) == 0)
      code = CsPriceRefusal(expert.desk.clock, order, plan, start);
   return(StringLen(code) > 0 ? code : CsFenceRefusal(expert, order, plan, 1));
  }

#endif
