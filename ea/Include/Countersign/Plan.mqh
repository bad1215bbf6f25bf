// What would be sent of an order now: the broker's symbol, so many lots in so many legs; or why nothing is.
#ifndef COUNTERSIGN_PLAN_MQH
#define COUNTERSIGN_PLAN_MQH

#include "Checks.mqh"
#include "Policy.mqh"

#define CS_QUOTE_WAITS 5
#define CS_QUOTE_WAIT_MS 200

// What the owner has set.
struct CsSettings
  {
   string   base;            // the desk's address
   string   code;            // for pairing; empty for none
   bool     is_code_odd;     // what was entered as one is none
   string   device_id;
   string   secret;
   bool     is_sealing;
   string   prefix;
   string   suffix;
   int      max_deviation;   // in points; 0 leaves it to the order
   CsPolicy policy;
  };

struct CsPlan
  {
   CsMarket market;
   int      deviation;
   double   volume;
   double   portions[];      // of each leg
   int      legs;
   double   base;            // the price the order is reckoned from
   string   refusal;         // why nothing is sent, as the desk's code; empty where it is
   bool     is_for_later;    // the reason may be gone in a moment
  };

bool CsPlanRefused(CsPlan &plan, const string code)
  {
   plan.refusal = code;
   return(false);
  }

// For now nothing can be said.
bool CsPlanLater(CsPlan &plan, const string code)
  {
   plan.is_for_later = true;
   return(CsPlanRefused(plan, code));
  }

// A symbol that was only just chosen has its price a moment later.
bool CsAwaitQuote(CsMarket &market)
  {
   for(int i = 0; i < CS_QUOTE_WAITS; i++)
     {
      if(CsReadQuote(market))
         return(true);
      Sleep(CS_QUOTE_WAIT_MS);
     }
   return(CsReadQuote(market));
  }

// The symbol, in a state to be traded in this direction at a price of now.
bool CsPlanMarket(const CsSettings &settings, const CsClock &clock, const CsOrder &order, CsPlan &plan)
  {
   string name = CsBrokerSymbol(order.symbol, settings.prefix, settings.suffix);
   if(StringLen(name) == 0)
      return(CsPlanRefused(plan, "unknown_symbol"));
   CsReadMarket(name, plan.market);
   string code = CsModeRefusal(plan.market, order.side);
   if(StringLen(code) > 0)
      return(CsPlanRefused(plan, code));
   if(!CsIsMarket(plan.market) || !CsAwaitQuote(plan.market))
      return(CsPlanLater(plan, "no_quote"));
   code = CsQuoteRefusal(plan.market, clock, GetTickCount64());
   if(StringLen(code) > 0)
      return(clock.offset_kind == CS_OFFSET_CERTAIN ? CsPlanRefused(plan, code) : CsPlanLater(plan, code));
   return(true);
  }

// Levels become prices that the symbol can have, and only those are checked: what rounds to nothing is no stop at the
// broker. False for such a one.
bool CsRoundLevels(const CsMarket &market, CsOrder &order)
  {
   order.entry = CsLevel(market, order.entry);
   order.stop = CsLevel(market, order.stop);
   bool is_good = (!order.has_entry || order.entry > 0.0) && (!order.has_stop || order.stop > 0.0);
   for(int i = 0; i < ArraySize(order.targets); i++)
     {
      order.targets[i] = CsLevel(market, order.targets[i]);
      is_good = is_good && order.targets[i] > 0.0;
     }
   return(is_good);
  }

// What one lot would lose at the stop, in the account's currency; 0 where nobody can say.
double CsLossOfOneLot(const CsOrder &order, const CsPlan &plan, const double volume)
  {
   double profit = 0.0;
   ENUM_ORDER_TYPE type = order.side == CS_BUY ? ORDER_TYPE_BUY : ORDER_TYPE_SELL;
   if(!OrderCalcProfit(type, plan.market.name, volume, plan.base, order.stop, profit) || profit >= 0.0)
      return(0.0);
   return(-profit / volume);
  }

// The lots: what was allowed, down to what its risk allows here, in whole steps.
bool CsPlanVolume(const CsOrder &order, CsPlan &plan)
  {
   double step = plan.market.volume_step;
   plan.volume = CsFloorToStep(order.volume, step);
   if(order.has_risk && plan.volume > 0.0)
     {
      double loss = CsLossOfOneLot(order, plan, plan.volume);
      if(loss <= 0.0)
         return(CsPlanRefused(plan, "no_conversion_rate"));
      plan.volume = CsWithinRisk(plan.volume, order.risk, loss, step);
      // Terminals round money: what is left is reckoned once more, and goes down until it fits.
      while(plan.volume > 0.0 && plan.volume * CsLossOfOneLot(order, plan, plan.volume) > order.risk)
         plan.volume = CsFloorToStep(plan.volume - step, step);
     }
   double held = plan.market.volume_limit > 0.0 ? CsHeldLots(plan.market.name, order.side, order.magic) : 0.0;
   string code = CsVolumeRefusal(plan.volume, plan.market.volume_min, plan.market.volume_max, plan.market.volume_limit,
                                 held, step);
   return(StringLen(code) == 0 || CsPlanRefused(plan, code));
  }

// Its legs: one for each target on a hedging account. A netting account has room for one target alone.
bool CsPlanLegs(const CsOrder &order, CsPlan &plan)
  {
   int targets = ArraySize(order.targets);
   if(targets > 1 && !CsIsHedging())
      return(CsPlanRefused(plan, "targets_need_hedging"));
   plan.legs = CsPortions(plan.volume, targets, plan.market.volume_min, plan.market.volume_step, plan.portions);
   string code = order.kind == CS_MARKET ? "" : CsRoomRefusal(plan.legs);
   return(StringLen(code) == 0 || CsPlanRefused(plan, code));
  }

// Prices and levels as they stand now.
bool CsPlanPrices(const CsOrder &order, CsPlan &plan)
  {
   bool market = order.kind == CS_MARKET;
   plan.base = market ? CsEntryAt(plan.market, order.side) : order.entry;
   string code = market ? CsDriftRefusal(order, plan.market, plan.deviation) : CsWaitingRefusal(order, plan.market);
   if(StringLen(code) == 0)
      code = CsLevelsRefusal(order, plan.market, plan.base);
   return(StringLen(code) == 0 || CsPlanRefused(plan, code));
  }

// Work it all out; the order has its levels as the symbol can have them then. False where nothing is to be sent; the
// plan says why.
bool CsPlanOrder(const CsSettings &settings, const CsClock &clock, CsOrder &order, CsPlan &plan)
  {
   plan.refusal = "";
   plan.is_for_later = false;
   plan.volume = 0.0;
   plan.legs = 0;
   plan.base = 0.0;
   ArrayResize(plan.portions, 0);
   plan.deviation = settings.max_deviation > 0 ? MathMin(settings.max_deviation, order.deviation) : order.deviation;
   string code = CsTradingRefusal();
   if(StringLen(code) > 0)
      return(code == "terminal_away" ? CsPlanLater(plan, code) : CsPlanRefused(plan, code));
   if(!CsPlanMarket(settings, clock, order, plan))
      return(false);
   if(!CsRoundLevels(plan.market, order))
      return(CsPlanRefused(plan, "invalid_price"));
   if(!CsPlanPrices(order, plan) || !CsPlanVolume(order, plan) || !CsPlanLegs(order, plan))
      return(false);
   code = CsMarginRefusal(order, plan.market, plan.volume, plan.base);
   return(StringLen(code) == 0 || CsPlanRefused(plan, code));
  }

#endif
