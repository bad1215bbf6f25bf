// Telling the desk what became of an order, again and again until it has heard it.
#ifndef COUNTERSIGN_ACKS_MQH
#define COUNTERSIGN_ACKS_MQH

#include "Desk.mqh"
#include "JsonWriter.mqh"
#include "Ledger.mqh"

#define CS_LONGEST_ERROR 250
// After an answer that makes no sense the same is told again this much later.
#define CS_TELL_AGAIN_MS 60000

string CsStatusWord(const int status)
  {
   if(status == CS_PLACED)
      return("placed");
   if(status == CS_FILLED)
      return("filled");
   if(status == CS_CLOSED)
      return("closed");
   return(status == CS_REJECTED ? "rejected" : "failed");
  }

void CsAddIfThere(string &inside, const string name, const string value)
  {
   if(StringLen(value) > 0)
      CsJsonAddText(inside, name, value);
  }

// A text as long as the desk takes it, in whole characters.
string CsCut(const string text, const int longest)
  {
   if(StringLen(text) <= longest)
      return(text);
   bool half = CsIsHighSurrogate(StringGetCharacter(text, longest - 1));
   return(StringSubstr(text, 0, half ? longest - 1 : longest));
  }

// The acknowledgement of one status of an order.
string CsAckBody(const CsRecord &record, const int status)
  {
   string inside = "";
   bool closing = status == CS_CLOSED;
   CsJsonAddText(inside, "order_id", record.order_id);
   CsJsonAddText(inside, "status", CsStatusWord(status));
   if(record.ticket > 0)
      CsJsonAddLong(inside, "ticket", record.ticket);
   if(status != CS_PLACED)
     {
      CsAddIfThere(inside, "price", closing ? record.close_price : record.price);
      CsAddIfThere(inside, "volume", closing ? record.close_volume : record.filled);
     }
   if(!closing && record.retcode > 0)
      CsJsonAddLong(inside, "retcode", record.retcode);
   CsAddIfThere(inside, "error", closing ? "" : CsCut(record.error, CS_LONGEST_ERROR));
   CsAddIfThere(inside, "profit", closing ? record.profit : "");
   CsAddIfThere(inside, "reason", closing ? record.close_reason : "");
   return("{" + inside + "}");
  }

// The record whose turn it is to be told, or -1. not_before are ticks beside the records.
int CsNextToTell(const CsLedger &ledger, const ulong tick)
  {
   int best = -1;
   for(int i = 0; i < ledger.count; i++)
     {
      if(CsOwed(ledger.open[i]) == CS_TOLD_NOTHING || ledger.open[i].tell_at > tick)
         continue;
      if(best < 0 || ledger.open[i].tell_at < ledger.open[best].tell_at)
         best = i;
     }
   return(best);
  }

// Tell the next thing of one record. False when it is still owed then.
bool CsTell(CsDesk &desk, CsLedger &ledger, const int place)
  {
   int owed = CsOwed(ledger.open[place]);
   int status = CsDeskAsk(desk, "POST", "ack", CsAckBody(ledger.open[place], owed));
   // Who does not know the order now will not know it later: another desk's, or a deleted account's.
   bool heard = status == 200 || status == 404;
   if(!heard && status >= 400 && status < 500 && status != 401 && status != 429)
     {
      ledger.open[place].tell_at = GetTickCount64() + CS_TELL_AGAIN_MS;
      Print("Countersign: the desk does not take what became of order " + ledger.open[place].order_id + " ("
            + IntegerToString(status) + " " + desk.code + ")");
     }
   else if(!heard)
      ledger.open[place].tell_at = GetTickCount64() + 1000 + desk.retry_after_ms;
   if(heard)
      CsLedgerTold(ledger, place, owed);
   return(heard && CsLedgerWrite(ledger));
  }

#endif
