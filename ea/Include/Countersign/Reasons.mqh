// Codes in words, for the panel; the desk has the same codes in its own words (services/reasons.py).
#ifndef COUNTERSIGN_REASONS_MQH
#define COUNTERSIGN_REASONS_MQH

// What the local fence said.
string CsPolicyWords(const string code)
  {
   if(code == "policy_max_lots")
      return("above the lots you allow");
   if(code == "policy_total_lots")
      return("above the lots you allow in all");
   if(code == "policy_symbol")
      return("a symbol you do not allow");
   if(code == "policy_no_stop")
      return("no stop, and you demand one");
   if(code == "policy_spread")
      return("the spread is too wide");
   if(code == "policy_daily_loss")
      return("today's loss limit is reached");
   if(code == "policy_max_orders")
      return("today's number of orders is reached");
   return(code == "policy_no_heartbeat" ? "the desk was silent for too long" : "");
  }

// What the terminal or the account does not allow.
string CsTerminalWords(const string code)
  {
   if(code == "trading_disabled")
      return("Algo Trading is off");
   if(code == "view_only")
      return("the account may only be watched");
   if(code == "wrong_account")
      return("it is for another account");
   if(code == "terminal_away")
      return("no connection to the broker");
   if(code == "not_enough_money")
      return("not enough free margin");
   if(code == "targets_need_hedging")
      return("several targets need a hedging account");
   return(code == "order_replayed" ? "it is an old order" : "");
  }

// What the market does not allow.
string CsMarketWords(const string code)
  {
   if(code == "unknown_symbol")
      return("the broker does not have the symbol");
   if(code == "no_quote" || code == "quote_stale")
      return("there is no price of now");
   if(code == "price_moved")
      return("the price has moved too far");
   if(code == "stop_beyond_price")
      return("the price is beyond the stop");
   if(code == "target_passed")
      return("the price has passed a target");
   if(code == "volume_below_minimum")
      return("below the smallest volume");
   return("");
  }

// A code in words; one without words is itself.
string CsWords(const string code)
  {
   string words = CsPolicyWords(code);
   if(StringLen(words) == 0)
      words = CsTerminalWords(code);
   if(StringLen(words) == 0)
      words = CsMarketWords(code);
   return(StringLen(words) > 0 ? words : code);
  }

#endif
