// What is looked at before an order goes out, in the desk's order and with the desk's codes, so that a refusal says the
// first thing that is wrong. Nothing here changes anything.
#ifndef COUNTERSIGN_CHECKS_MQH
#define COUNTERSIGN_CHECKS_MQH

#include "Clock.mqh"
#include "Market.mqh"

#define CS_OLDEST_QUOTE_MS 10000
#define CS_NEWEST_QUOTE_MS 120000

// Whether terminal, account and broker let this program trade.
string CsTradingRefusal()
  {
   if(AccountInfoInteger(ACCOUNT_TRADE_ALLOWED) == 0)
      return("view_only");
   if(TerminalInfoInteger(TERMINAL_TRADE_ALLOWED) == 0 || MQLInfoInteger(MQL_TRADE_ALLOWED) == 0
      || AccountInfoInteger(ACCOUNT_TRADE_EXPERT) == 0)
      return("trading_disabled");
   return(TerminalInfoInteger(TERMINAL_CONNECTED) == 0 ? "terminal_away" : "");
  }

// Whether the symbol is open in this direction.
string CsModeRefusal(const CsMarket &market, const int side)
  {
   if(market.trade_mode == SYMBOL_TRADE_MODE_DISABLED)
      return("symbol_not_tradable");
   if(market.trade_mode == SYMBOL_TRADE_MODE_CLOSEONLY)
      return("symbol_close_only");
   if((market.trade_mode == SYMBOL_TRADE_MODE_LONGONLY && side != CS_BUY)
      || (market.trade_mode == SYMBOL_TRADE_MODE_SHORTONLY && side != CS_SELL))
      return("symbol_one_way");
   return("");
  }

// Whether the last price is of now. Without knowing the trade server's clock nobody can say.
string CsQuoteRefusal(const CsMarket &market, const CsClock &clock, const ulong tick)
  {
   long age = CsClockNow(clock, tick) - CsClockUtc(clock, market.quoted_ms);
   bool fresh = age <= CS_OLDEST_QUOTE_MS && age >= -CS_NEWEST_QUOTE_MS;
   return(clock.offset_kind == CS_OFFSET_CERTAIN && fresh ? "" : "quote_stale");
  }

// A market order is not sent when the price has passed a level of it, or gone too far from where it was meant.
string CsDriftRefusal(const CsOrder &order, const CsMarket &market, const int deviation)
  {
   double price = CsEntryAt(market, order.side);
   int sign = CsSign(order.side);
   if(order.has_stop && (price - order.stop) * sign <= 0.0)
      return("stop_beyond_price");
   for(int i = 0; i < ArraySize(order.targets); i++)
      if((order.targets[i] - price) * sign <= 0.0)
         return("target_passed");
   if(order.has_entry && CsIsMore(MathAbs(price - order.entry), deviation * market.point, market.point))
      return("price_moved");
   return("");
  }

// The price of a waiting order is on its side of the market, and far enough from it.
string CsWaitingRefusal(const CsOrder &order, const CsMarket &market)
  {
   bool below = (order.side == CS_BUY) == (order.kind == CS_LIMIT);
   double distance = (CsEntryAt(market, order.side) - order.entry) * (below ? 1 : -1);
   if(distance <= 0.0 || CsIsMore(market.stops_level * market.point, distance, market.point))
      return("invalid_price");
   return("");
  }

// Stop and targets are on their sides of a price and far enough from it. Where the broker names no distance it decides
// as it goes: then the spread is the least.
string CsLevelsRefusal(const CsOrder &order, const CsMarket &market, const double base)
  {
   int sign = CsSign(order.side);
   double least = MathMax(market.stops_level * market.point, market.point);
   if(market.stops_level == 0)
      least = MathMax(least, market.ask - market.bid);
   double to_stop = (base - order.stop) * sign;
   if(order.has_stop && to_stop <= 0.0)
      return("stop_beyond_price");
   if(order.has_stop && CsIsMore(least, to_stop, market.point))
      return("stop_too_close");
   for(int i = 0; i < ArraySize(order.targets); i++)
     {
      double to_target = (order.targets[i] - base) * sign;
      if(to_target <= 0.0)
         return("target_passed");
      if(CsIsMore(least, to_target, market.point))
         return("target_too_close");
     }
   return("");
  }

// The order's margin fits into what is free. Against a position the other way on a netting account it may free margin;
// then the broker decides.
string CsMarginRefusal(const CsOrder &order, const CsMarket &market, const double volume, const double price)
  {
   double margin = 0.0;
   if(!CsIsHedging() && CsIsAgainst(market.name, order.side))
      return("");
   ENUM_ORDER_TYPE type = order.side == CS_BUY ? ORDER_TYPE_BUY : ORDER_TYPE_SELL;
   if(!OrderCalcMargin(type, market.name, volume, price, margin))
      return("");
   return(margin > AccountInfoDouble(ACCOUNT_MARGIN_FREE) ? "not_enough_money" : "");
  }

// Whether the account may have so many more orders that wait.
string CsRoomRefusal(const int more)
  {
   long most = AccountInfoInteger(ACCOUNT_LIMIT_ORDERS);
   return(most > 0 && OrdersTotal() + more > most ? "too_many_orders" : "");
  }

#endif
