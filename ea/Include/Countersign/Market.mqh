// A symbol as it stands in this terminal, and what is open and waiting on the account.
#ifndef COUNTERSIGN_MARKET_MQH
#define COUNTERSIGN_MARKET_MQH

#include "Order.mqh"

struct CsMarket
  {
   string name;
   int    digits;
   double point;
   double tick_size;
   double volume_min;
   double volume_max;
   double volume_step;
   double volume_limit;    // open and waiting in one direction; 0 for none
   int    stops_level;     // in points
   long   trade_mode;
   long   execution;
   int    filling;         // bits
   int    expiration;      // bits
   double bid;
   double ask;
   long   quoted_ms;       // by the trade server's clock
  };

// The broker's name for a symbol of the desk: as it is, else with what the owner says stands round names here. Empty
// where the broker has neither.
string CsBrokerSymbol(const string symbol, const string prefix, const string suffix)
  {
   bool is_custom = false;
   if(SymbolExist(symbol, is_custom))
      return(symbol);
   string dressed = prefix + symbol + suffix;
   return(dressed != symbol && SymbolExist(dressed, is_custom) ? dressed : "");
  }

// Read what may change from moment to moment. False while there is no price.
bool CsReadQuote(CsMarket &market)
  {
   MqlTick tick;
   if(!SymbolInfoTick(market.name, tick) || tick.bid <= 0.0 || tick.ask <= 0.0)
      return(false);
   market.bid = tick.bid;
   market.ask = tick.ask;
   market.quoted_ms = tick.time_msc;
   return(true);
  }

// Read a symbol's terms, and let the terminal ask for its prices.
void CsReadMarket(const string name, CsMarket &market)
  {
   SymbolSelect(name, true);
   market.name = name;
   market.digits = (int)SymbolInfoInteger(name, SYMBOL_DIGITS);
   market.point = SymbolInfoDouble(name, SYMBOL_POINT);
   double tick_size = SymbolInfoDouble(name, SYMBOL_TRADE_TICK_SIZE);
   market.tick_size = tick_size > 0.0 ? tick_size : market.point;
   market.volume_min = SymbolInfoDouble(name, SYMBOL_VOLUME_MIN);
   market.volume_max = SymbolInfoDouble(name, SYMBOL_VOLUME_MAX);
   market.volume_step = SymbolInfoDouble(name, SYMBOL_VOLUME_STEP);
   market.volume_limit = SymbolInfoDouble(name, SYMBOL_VOLUME_LIMIT);
   market.stops_level = (int)SymbolInfoInteger(name, SYMBOL_TRADE_STOPS_LEVEL);
   market.trade_mode = SymbolInfoInteger(name, SYMBOL_TRADE_MODE);
   market.execution = SymbolInfoInteger(name, SYMBOL_TRADE_EXEMODE);
   market.filling = (int)SymbolInfoInteger(name, SYMBOL_FILLING_MODE);
   market.expiration = (int)SymbolInfoInteger(name, SYMBOL_EXPIRATION_MODE);
   market.bid = 0.0;
   market.ask = 0.0;
   market.quoted_ms = 0;
  }

// Whether the terms are such that they can be reckoned with.
bool CsIsMarket(const CsMarket &market)
  {
   return(market.point > 0.0 && market.tick_size > 0.0 && market.volume_step > 0.0 && market.volume_min > 0.0
          && market.volume_max >= market.volume_min);
  }

int CsSign(const int side)
  {
   return(side == CS_BUY ? 1 : -1);
  }

// Where an order of this side is filled now.
double CsEntryAt(const CsMarket &market, const int side)
  {
   return(side == CS_BUY ? market.ask : market.bid);
  }

double CsSpreadPoints(const CsMarket &market)
  {
   return((market.ask - market.bid) / market.point);
  }

double CsLevel(const CsMarket &market, const double price)
  {
   return(CsToTick(price, market.tick_size, market.digits));
  }

// A price as it is told: with the symbol's digits, or with what an average has beyond them.
string CsPriceText(const double price, const int digits)
  {
   double rounded = NormalizeDouble(price, digits);
   return(MathAbs(rounded - price) < 1e-8 ? CsDecimalText(rounded, digits) : CsDecimalText(price, CS_MOST_PLACES));
  }

// Whether the account keeps a position for each order, and not one a symbol.
bool CsIsHedging()
  {
   return(AccountInfoInteger(ACCOUNT_MARGIN_MODE) == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING);
  }

// Lots open and waiting: of one symbol in one direction, or with an empty name of all. What is of the order with this
// number does not count.
double CsHeldLots(const string symbol, const int side, const long magic)
  {
   double held = 0.0;
   for(int i = PositionsTotal() - 1; i >= 0; i--)
     {
      if(PositionGetTicket(i) == 0 || CsLegOf(magic, PositionGetInteger(POSITION_MAGIC)) >= 0)
         continue;
      bool same = PositionGetString(POSITION_SYMBOL) == symbol && PositionGetInteger(POSITION_TYPE) == side;
      if(StringLen(symbol) == 0 || same)
         held += PositionGetDouble(POSITION_VOLUME);
     }
   for(int i = OrdersTotal() - 1; i >= 0; i--)
     {
      if(OrderGetTicket(i) == 0 || CsLegOf(magic, OrderGetInteger(ORDER_MAGIC)) >= 0)
         continue;
      // Kinds of orders to buy have even numbers.
      bool same = OrderGetString(ORDER_SYMBOL) == symbol && OrderGetInteger(ORDER_TYPE) % 2 == side;
      if(StringLen(symbol) == 0 || same)
         held += OrderGetDouble(ORDER_VOLUME_CURRENT);
     }
   return(held);
  }

// Whether there is a position in a symbol the other way.
bool CsIsAgainst(const string symbol, const int side)
  {
   for(int i = PositionsTotal() - 1; i >= 0; i--)
      if(PositionGetTicket(i) != 0 && PositionGetString(POSITION_SYMBOL) == symbol
         && PositionGetInteger(POSITION_TYPE) != side)
         return(true);
   return(false);
  }

#endif
