// The local fence: what this terminal does not do, whoever signed it. It refuses, and changes nothing to make it fit.
//
// A limit of 0 is none, and an empty list of symbols is every symbol.
#ifndef COUNTERSIGN_POLICY_MQH
#define COUNTERSIGN_POLICY_MQH

#include "Bytes.mqh"
#include "Decimal.mqh"

struct CsPolicy
  {
   double max_lots;             // of one order
   double max_total_lots;       // open and waiting, with the order
   string symbols;              // names with commas between them; one that ends with * is a beginning
   bool   stop_required;
   int    max_spread_points;
   double max_daily_loss;       // in the account's currency, from the equity the trade server's day began with
   int    max_orders_a_day;
   int    max_silence_seconds;  // of the desk
  };

// What the fence looks at. silence_ms is how long ago the desk was last heard, below 0 for never.
struct CsPolicyFacts
  {
   string symbol;
   double volume;
   double held_lots;
   bool   has_stop;
   double spread_points;
   double day_loss;             // below 0 for a gain
   int    orders_today;
   long   silence_ms;
  };

// One name of the list; begin is moved behind its comma, or behind the end.
string CsNextName(const string list, int &begin)
  {
   int comma = begin < StringLen(list) ? StringFind(list, ",", begin) : -1;
   int end = comma < 0 ? StringLen(list) : comma;
   string name = CsPart(list, begin, end - begin);
   begin = end + 1;
   StringTrimLeft(name);
   StringTrimRight(name);
   return(name);
  }

// Whether a symbol is the one that is named; case does not matter.
bool CsIsNamed(const string symbol, const string name)
  {
   string one = symbol, other = name;
   StringToUpper(one);
   StringToUpper(other);
   int size = StringLen(other);
   if(size > 0 && StringGetCharacter(other, size - 1) == 42)
      return(StringLen(one) >= size - 1 && CsPart(one, 0, size - 1) == CsPart(other, 0, size - 1));
   return(size > 0 && one == other);
  }

// Whether a symbol is in the list. A list of nothing but blanks and commas is an empty one.
bool CsIsListed(const string symbol, const string list)
  {
   bool is_empty = true;
   int begin = 0;
   while(begin <= StringLen(list))
     {
      string name = CsNextName(list, begin);
      if(StringLen(name) == 0)
         continue;
      if(CsIsNamed(symbol, name))
         return(true);
      is_empty = false;
     }
   return(is_empty);
  }

// Why the fence stands in the way of an order, as the desk's code for it; nothing where it does not.
string CsPolicyRefusal(const CsPolicy &policy, const CsPolicyFacts &facts)
  {
   if(policy.max_silence_seconds > 0
      && (facts.silence_ms < 0 || facts.silence_ms > (long)policy.max_silence_seconds * 1000))
      return("policy_no_heartbeat");
   if(!CsIsListed(facts.symbol, policy.symbols))
      return("policy_symbol");
   if(policy.stop_required && !facts.has_stop)
      return("policy_no_stop");
   if(policy.max_lots > 0.0 && CsIsMore(facts.volume, policy.max_lots, 1.0))
      return("policy_max_lots");
   if(policy.max_total_lots > 0.0 && CsIsMore(facts.held_lots + facts.volume, policy.max_total_lots, 1.0))
      return("policy_total_lots");
   if(policy.max_spread_points > 0 && CsIsMore(facts.spread_points, policy.max_spread_points, 1.0))
      return("policy_spread");
   if(policy.max_orders_a_day > 0 && facts.orders_today >= policy.max_orders_a_day)
      return("policy_max_orders");
   if(policy.max_daily_loss > 0.0 && facts.day_loss >= policy.max_daily_loss)
      return("policy_daily_loss");
   return("");
  }

#endif
