// What the broker trades and how the terminal stands, as the desk asks for it: everything once, in pages, and after that
// the symbols it wants to know of before it can size an order.
#ifndef COUNTERSIGN_SYMBOLS_MQH
#define COUNTERSIGN_SYMBOLS_MQH

#include "JsonWriter.mqh"
#include "Snapshot.mqh"
#include "State.mqh"

#define CS_PAGE_SIZE 100
#define CS_MOST_WANTED 100
#define CS_LONGEST_SYMBOL 32
#define CS_LIST_AGAIN_MS 3000
#define CS_FINEST 16

const string CS_VERSION = "1.0.0";
const double CS_SMALL = 1e-4;
const double CS_GREATEST = 1e12;

// The desk's word for how profit and margin are reckoned (ENUM_SYMBOL_CALC_MODE).
string CsCalcModeWord(const long mode)
  {
   if(mode == SYMBOL_CALC_MODE_FOREX)
      return("forex");
   if(mode == SYMBOL_CALC_MODE_FUTURES || mode == SYMBOL_CALC_MODE_EXCH_FUTURES)
      return("futures");
   if(mode == SYMBOL_CALC_MODE_CFD)
      return("cfd");
   if(mode == SYMBOL_CALC_MODE_CFDINDEX)
      return("cfd_index");
   if(mode == SYMBOL_CALC_MODE_CFDLEVERAGE)
      return("cfd_leverage");
   if(mode == SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE)
      return("forex_no_leverage");
   if(mode == SYMBOL_CALC_MODE_EXCH_STOCKS || mode == SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX)
      return("exch_stocks");
   return("mode_" + IntegerToString(mode));
  }

string CsTradeModeWord(const long mode)
  {
   if(mode == SYMBOL_TRADE_MODE_FULL)
      return("full");
   if(mode == SYMBOL_TRADE_MODE_LONGONLY)
      return("long_only");
   if(mode == SYMBOL_TRADE_MODE_SHORTONLY)
      return("short_only");
   return(mode == SYMBOL_TRADE_MODE_CLOSEONLY ? "close_only" : "disabled");
  }

string CsFillingWords(const int mask, const long execution)
  {
   string list = "";
   if((mask & SYMBOL_FILLING_FOK) != 0)
      CsJsonPut(list, "\"fok\"");
   if((mask & SYMBOL_FILLING_IOC) != 0)
      CsJsonPut(list, "\"ioc\"");
   if((mask & SYMBOL_FILLING_BOC) != 0)
      CsJsonPut(list, "\"boc\"");
   if(execution != SYMBOL_TRADE_EXECUTION_MARKET)
      CsJsonPut(list, "\"return\"");
   return("[" + list + "]");
  }

// A size, with as many places as it needs: steps of some symbols are finer than prices. Bounded, as the desk reads it.
string CsSizeJson(const double value)
  {
   double size = MathMin(MathMax(value, 0.0), CS_GREATEST);
   return(CsJsonQuoted(size > CS_SMALL ? CsShortText(size) : DoubleToString(size, CS_FINEST)));
  }

// Currencies as they are written everywhere; what else a broker puts there is left out.
string CsCurrencyJson(const string text)
  {
   string clean = "";
   for(int i = 0; i < StringLen(text) && StringLen(clean) < 16; i++)
     {
      ushort c = StringGetCharacter(text, i);
      if(CsBase64UrlDigit(c) >= 0 || c == 46)
         clean += ShortToString(c);
     }
   return(CsJsonQuoted(clean));
  }

// What a price was last, if there is one.
void CsAddQuote(const CsClock &clock, const string name, const int digits, string &inside)
  {
   MqlTick tick;
   bool quoted = SymbolInfoTick(name, tick) && tick.bid > 0.0 && tick.ask > 0.0;
   double worth = SymbolInfoDouble(name, SYMBOL_TRADE_TICK_VALUE_LOSS);
   CsJsonAdd(inside, "tick_value", worth > 0.0 ? CsSizeJson(worth) : "null");
   CsJsonAdd(inside, "bid", quoted ? CsAmount(tick.bid, digits) : "null");
   CsJsonAdd(inside, "ask", quoted ? CsAmount(tick.ask, digits) : "null");
   CsJsonAdd(inside, "quoted_at", quoted ? CsJsonQuoted(CsInstantText(CsClockUtc(clock, tick.time_msc))) : "null");
  }

void CsAddSizes(const string name, string &inside)
  {
   double point = SymbolInfoDouble(name, SYMBOL_POINT);
   double tick_size = SymbolInfoDouble(name, SYMBOL_TRADE_TICK_SIZE);
   CsJsonAdd(inside, "point", CsSizeJson(point));
   CsJsonAdd(inside, "tick_size", CsSizeJson(tick_size > 0.0 ? tick_size : point));
   CsJsonAdd(inside, "contract_size", CsSizeJson(SymbolInfoDouble(name, SYMBOL_TRADE_CONTRACT_SIZE)));
   CsJsonAdd(inside, "volume_min", CsSizeJson(SymbolInfoDouble(name, SYMBOL_VOLUME_MIN)));
   CsJsonAdd(inside, "volume_max", CsSizeJson(SymbolInfoDouble(name, SYMBOL_VOLUME_MAX)));
   CsJsonAdd(inside, "volume_step", CsSizeJson(SymbolInfoDouble(name, SYMBOL_VOLUME_STEP)));
   CsJsonAdd(inside, "volume_limit", CsSizeJson(SymbolInfoDouble(name, SYMBOL_VOLUME_LIMIT)));
   CsJsonAddLong(inside, "stops_level", MathMax(SymbolInfoInteger(name, SYMBOL_TRADE_STOPS_LEVEL), (long)0));
   CsJsonAddLong(inside, "freeze_level", MathMax(SymbolInfoInteger(name, SYMBOL_TRADE_FREEZE_LEVEL), (long)0));
  }

// One symbol as the desk reads it.
string CsSymbolJson(const CsClock &clock, const string name)
  {
   string inside = "";
   int digits = (int)SymbolInfoInteger(name, SYMBOL_DIGITS);
   CsJsonAddText(inside, "name", name);
   CsJsonAddText(inside, "description", CsClean(SymbolInfoString(name, SYMBOL_DESCRIPTION), 64));
   CsJsonAddLong(inside, "digits", digits);
   CsAddSizes(name, inside);
   CsJsonAdd(inside, "currency_base", CsCurrencyJson(SymbolInfoString(name, SYMBOL_CURRENCY_BASE)));
   CsJsonAdd(inside, "currency_profit", CsCurrencyJson(SymbolInfoString(name, SYMBOL_CURRENCY_PROFIT)));
   CsJsonAdd(inside, "currency_margin", CsCurrencyJson(SymbolInfoString(name, SYMBOL_CURRENCY_MARGIN)));
   CsJsonAddText(inside, "calc_mode", CsCalcModeWord(SymbolInfoInteger(name, SYMBOL_TRADE_CALC_MODE)));
   CsJsonAddText(inside, "trade_mode", CsTradeModeWord(SymbolInfoInteger(name, SYMBOL_TRADE_MODE)));
   CsJsonAdd(inside, "filling", CsFillingWords((int)SymbolInfoInteger(name, SYMBOL_FILLING_MODE),
             SymbolInfoInteger(name, SYMBOL_TRADE_EXEMODE)));
   CsAddQuote(clock, name, digits, inside);
   return("{" + inside + "}");
  }

// How this terminal stands.
string CsTerminalJson(const CsClock &clock)
  {
   string inside = "";
   CsJsonAddText(inside, "version", CS_VERSION);
   CsJsonAddLong(inside, "build", TerminalInfoInteger(TERMINAL_BUILD));
   CsJsonAddLong(inside, "utc_offset_seconds", clock.offset_seconds);
   CsJsonAddBool(inside, "trade_allowed", TerminalInfoInteger(TERMINAL_TRADE_ALLOWED) != 0);
   CsJsonAddBool(inside, "expert_allowed", MQLInfoInteger(MQL_TRADE_ALLOWED) != 0);
   CsJsonAddBool(inside, "account_allowed", AccountInfoInteger(ACCOUNT_TRADE_ALLOWED) != 0
                 && AccountInfoInteger(ACCOUNT_TRADE_EXPERT) != 0);
   CsJsonAddBool(inside, "connected", TerminalInfoInteger(TERMINAL_CONNECTED) != 0);
   // The terminal counts it in microseconds.
   CsJsonAddLong(inside, "ping_ms", MathMax(TerminalInfoInteger(TERMINAL_PING_LAST), (long)0) / 1000);
   return("{" + inside + "}");
  }

// Send a page; list is the inside of its array, ends what is to be said of its place in a listing.
int CsSendPage(CsExpert &expert, const string list, const string ends)
  {
   return(CsDeskAsk(expert.desk, "POST", "symbols",
                    "{\"terminal\":" + CsTerminalJson(expert.desk.clock) + ",\"symbols\":[" + list + "]," + ends
                    + "\"taken_at\":" + CsJsonQuoted(CsInstantText(CsDeskNow(expert.desk))) + "}"));
  }

bool CsIsSymbolName(const string name)
  {
   return(StringLen(name) > 0 && StringLen(name) <= CS_LONGEST_SYMBOL && CsClean(name, CS_LONGEST_SYMBOL) == name);
  }

// Tell the next page of all symbols. What cannot be told is told again from the beginning, later.
void CsListSymbols(CsExpert &expert)
  {
   string list = "";
   int total = SymbolsTotal(false);
   int first = expert.reporting.next_symbol;
   int end = MathMin(first + CS_PAGE_SIZE, total);
   for(int i = first; i < end; i++)
     {
      string name = SymbolName(i, false);
      if(CsIsSymbolName(name))
         CsJsonPut(list, CsSymbolJson(expert.desk.clock, name));
     }
   int status = CsSendPage(expert, list, (first == 0 ? "\"is_first\":true," : "\"is_first\":false,")
                           + (end >= total ? "\"is_last\":true," : "\"is_last\":false,"));
   expert.reporting.listing_due = GetTickCount64() + expert.desk.retry_after_ms;
   if(status == 204)
     {
      expert.reporting.next_symbol = end;
      expert.reporting.is_listing = end < total;
      expert.reporting.is_wanted = expert.reporting.is_wanted && end < total;
      return;
     }
   if(status > 0 && status != 429)
     {
      Print("Countersign: the desk does not take the list of symbols (" + IntegerToString(status) + " "
            + expert.desk.code + ")");
      expert.reporting.next_symbol = 0;
      expert.reporting.listing_due += 60000;
     }
   expert.reporting.listing_due += CS_LIST_AGAIN_MS;
  }

// Tell the symbols that the desk has asked for, with prices of now. Names the broker does not have are not told.
bool CsTellWanted(CsExpert &expert)
  {
   string list = "";
   for(int i = 0; i < ArraySize(expert.reporting.wanted); i++)
     {
      string name = CsBrokerSymbol(expert.reporting.wanted[i], expert.settings.prefix, expert.settings.suffix);
      if(!CsIsSymbolName(name))
         continue;
      SymbolSelect(name, true);
      CsJsonPut(list, CsSymbolJson(expert.desk.clock, name));
     }
   ArrayResize(expert.reporting.wanted, 0);
   return(CsSendPage(expert, list, "\"is_first\":false,\"is_last\":false,") == 204);
  }

// Note what a poll has asked for.
void CsNoteWanted(CsReporting &reporting, const CsJson &doc)
  {
   bool all = false;
   int wanted = CsJsonMember(doc, 0, "wanted");
   int list = CsJsonMember(doc, wanted, "symbols");
   ArrayResize(reporting.wanted, 0);
   if(CsJsonBool(doc, wanted, "all", all) && all && !reporting.is_listing)
     {
      reporting.is_listing = true;
      reporting.next_symbol = 0;
      reporting.listing_due = 0;
     }
   reporting.is_wanted = all;
   for(int one = CsJsonFirst(doc, list); one >= 0; one = CsJsonNext(doc, list, one))
     {
      string name = "";
      int size = ArraySize(reporting.wanted);
      if(size >= CS_MOST_WANTED || !CsJsonTextOf(doc, one, name))
         continue;
      ArrayResize(reporting.wanted, size + 1);
      reporting.wanted[size] = name;
     }
  }

#endif
