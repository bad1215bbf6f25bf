// What the account holds, as the desk reads it; unchanged since the last time, only that.
#ifndef COUNTERSIGN_SNAPSHOT_MQH
#define COUNTERSIGN_SNAPSHOT_MQH

#include "JsonWriter.mqh"
#include "State.mqh"

#define CS_SNAPSHOT_BUSY_MS 5000
#define CS_SNAPSHOT_IDLE_MS 30000
#define CS_MOST_POSITIONS 1000

// A text of the broker's as the desk takes it: what does not print becomes a space, none stands at the ends; a dash
// where nothing is left.
string CsClean(const string text, const int longest)
  {
   string clean = CsCut(text, longest);
   for(int i = 0; i < StringLen(clean); i++)
     {
      ushort c = StringGetCharacter(clean, i);
      // The spaces and marks that people do not see: Unicode's separators, formats and private letters.
      bool unseen = c < 32 || (c >= 127 && c <= 160) || c == 173 || (c >= 0x2000 && c <= 0x200f)
                    || (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c >= 0xd800;
      if(unseen)
         StringSetCharacter(clean, i, 32);
     }
   StringTrimLeft(clean);
   StringTrimRight(clean);
   return(StringLen(clean) > 0 ? clean : "-");
  }

string CsMoney(const double value)
  {
   return(CsJsonQuoted(CsDecimalText(value, (int)AccountInfoInteger(ACCOUNT_CURRENCY_DIGITS))));
  }

// What must not be below nothing.
string CsAmount(const double value, const int places)
  {
   return(CsJsonQuoted(CsDecimalText(MathMax(value, 0.0), places)));
  }

string CsLevelJson(const double value, const int digits)
  {
   return(value > 0.0 ? CsAmount(value, digits) : "null");
  }

// The account's own figures.
string CsAccountJson()
  {
   string inside = "";
   int digits = (int)AccountInfoInteger(ACCOUNT_CURRENCY_DIGITS);
   double margin = AccountInfoDouble(ACCOUNT_MARGIN);
   CsJsonAddText(inside, "login", CsLogin());
   CsJsonAddText(inside, "server", CsClean(CsServer(), 64));
   CsJsonAddText(inside, "broker", CsClean(AccountInfoString(ACCOUNT_COMPANY), 64));
   CsJsonAddText(inside, "currency", AccountInfoString(ACCOUNT_CURRENCY));
   CsJsonAdd(inside, "balance", CsMoney(AccountInfoDouble(ACCOUNT_BALANCE)));
   CsJsonAdd(inside, "equity", CsMoney(AccountInfoDouble(ACCOUNT_EQUITY)));
   CsJsonAdd(inside, "margin", CsAmount(margin, digits));
   CsJsonAdd(inside, "free_margin", CsMoney(AccountInfoDouble(ACCOUNT_MARGIN_FREE)));
   CsJsonAdd(inside, "margin_level", margin > 0.0 ? CsAmount(AccountInfoDouble(ACCOUNT_MARGIN_LEVEL), 2) : "null");
   CsJsonAddLong(inside, "leverage", MathMax(AccountInfoInteger(ACCOUNT_LEVERAGE), (long)1));
   CsJsonAddText(inside, "margin_mode", CsIsHedging() ? "hedging" : "netting");
   CsJsonAdd(inside, "credit", CsMoney(AccountInfoDouble(ACCOUNT_CREDIT)));
   CsJsonAddBool(inside, "can_trade", AccountInfoInteger(ACCOUNT_TRADE_ALLOWED) != 0
                 && AccountInfoInteger(ACCOUNT_TRADE_EXPERT) != 0);
   return("{" + inside + "}");
  }

// The position that is selected.
string CsPositionJson(const CsClock &clock, const ulong ticket)
  {
   string inside = "";
   string symbol = PositionGetString(POSITION_SYMBOL);
   int digits = (int)SymbolInfoInteger(symbol, SYMBOL_DIGITS);
   long magic = PositionGetInteger(POSITION_MAGIC);
   CsJsonAddLong(inside, "ticket", (long)ticket);
   CsJsonAddText(inside, "symbol", symbol);
   CsJsonAddText(inside, "side", PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY ? "buy" : "sell");
   CsJsonAdd(inside, "volume", CsJsonQuoted(CsLotsText(PositionGetDouble(POSITION_VOLUME))));
   CsJsonAddText(inside, "entry_price", CsPriceText(PositionGetDouble(POSITION_PRICE_OPEN), digits));
   CsJsonAddText(inside, "current_price", CsPriceText(PositionGetDouble(POSITION_PRICE_CURRENT), digits));
   CsJsonAdd(inside, "stop_loss", CsLevelJson(PositionGetDouble(POSITION_SL), digits));
   CsJsonAdd(inside, "take_profit", CsLevelJson(PositionGetDouble(POSITION_TP), digits));
   CsJsonAdd(inside, "profit", CsMoney(PositionGetDouble(POSITION_PROFIT)));
   CsJsonAdd(inside, "swap", CsMoney(PositionGetDouble(POSITION_SWAP)));
   CsJsonAddLong(inside, "magic", MathMax(magic, (long)0));
   CsJsonAddText(inside, "opened_at", CsInstantText(CsClockUtc(clock, PositionGetInteger(POSITION_TIME_MSC))));
   return("{" + inside + "}");
  }

// Account and positions, without the moment they are of.
string CsSnapshotContent(const CsClock &clock)
  {
   string list = "";
   int count = MathMin(PositionsTotal(), CS_MOST_POSITIONS);
   for(int i = 0; i < count; i++)
     {
      ulong ticket = PositionGetTicket(i);
      if(ticket > 0)
         CsJsonPut(list, CsPositionJson(clock, ticket));
     }
   return("\"account\":" + CsAccountJson() + ",\"positions\":[" + list + "]");
  }

// Send all of it.
int CsSendWhole(CsExpert &expert, const string content, const string moment)
  {
   uchar bytes[];
   string body = "{" + content + "," + moment + "}";
   int status = CsDeskAsk(expert.desk, "POST", "snapshot", body);
   CsUtf8(body, bytes);
   expert.reporting.content = status == 204 ? content : "";
   expert.reporting.digest = status == 204 ? CsBodyDigest(bytes) : "";
   return(status);
  }

// Tell the desk what the account holds, in as few words as it takes.
void CsReportSnapshot(CsExpert &expert)
  {
   string content = CsSnapshotContent(expert.desk.clock);
   string moment = "\"taken_at\":" + CsJsonQuoted(CsInstantText(CsDeskNow(expert.desk)));
   int status = 409;
   if(StringLen(expert.reporting.digest) > 0 && content == expert.reporting.content)
      status = CsDeskAsk(expert.desk, "POST", "snapshot",
                         "{\"same_as\":" + CsJsonQuoted(expert.reporting.digest) + "," + moment + "}");
   if(status == 409)
      status = CsSendWhole(expert, content, moment);
   bool busy = PositionsTotal() > 0 || OrdersTotal() > 0;
   expert.reporting.snapshot_due = GetTickCount64() + (busy ? CS_SNAPSHOT_BUSY_MS : CS_SNAPSHOT_IDLE_MS)
                                   + expert.desk.retry_after_ms;
   if(status != 204 && status > 0)
      Print("Countersign: the desk does not take the account's report (" + IntegerToString(status) + " "
            + expert.desk.code + ")");
  }

#endif
