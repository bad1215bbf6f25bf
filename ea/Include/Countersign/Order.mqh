// An order as the desk offers it, read strictly: what is not understood to the last member is not executed.
#ifndef COUNTERSIGN_ORDER_MQH
#define COUNTERSIGN_ORDER_MQH

#include "Decimal.mqh"
#include "Instant.mqh"
#include "JsonValues.mqh"
#include "Volume.mqh"

#define CS_BUY 0
#define CS_SELL 1
#define CS_MARKET 0
#define CS_LIMIT 1
#define CS_STOP 2
#define CS_LONGEST_COMMENT 29

// 2^53: numbers below it are the same to every reader of JSON.
const long CS_MAGIC_END = 9007199254740992;
const long CS_LEG_BITS = 0xf00000000000;

struct CsOrder
  {
   string order_id;
   long   seq;
   long   magic;
   string login;
   string server;
   string symbol;
   int    side;
   int    kind;
   double volume;
   bool   has_entry;
   double entry;
   bool   has_stop;
   double stop;
   double targets[];       // in the order they will be met
   bool   has_risk;
   double risk;            // the most it may lose at its stop, in the account's currency
   int    deviation;       // in points
   string comment;
   long   issued_ms;
   long   expires_ms;
   bool   was_begun;       // by some device, at some time: it is looked for and never sent
  };

// A decimal text that may be null or left out; false for anything else there.
bool CsTakeMaybe(const CsJson &doc, const int object, const string name, bool &is_there, double &value)
  {
   int token = CsJsonMember(doc, object, name);
   is_there = token >= 0 && doc.kind[token] != CS_JSON_NULL;
   value = 0.0;
   if(!is_there)
      return(true);
   string text = "";
   return(CsJsonTextOf(doc, token, text) && CsReadDecimal(text, value) && value > 0.0);
  }

bool CsTakeTargets(const CsJson &doc, const int object, CsOrder &order)
  {
   int list = CsJsonMember(doc, object, "take_profits");
   ArrayResize(order.targets, 0);
   if(!CsJsonIsKind(doc, list, CS_JSON_ARRAY))
      return(false);
   for(int one = CsJsonFirst(doc, list); one >= 0; one = CsJsonNext(doc, list, one))
     {
      string text = "";
      double target = 0.0;
      int size = ArraySize(order.targets);
      if(size >= CS_MOST_LEGS || !CsJsonTextOf(doc, one, text) || !CsReadDecimal(text, target) || target <= 0.0)
         return(false);
      ArrayResize(order.targets, size + 1);
      order.targets[size] = target;
     }
   return(true);
  }

bool CsTakeInstant(const CsJson &doc, const int object, const string name, long &milliseconds)
  {
   string text = "";
   return(CsJsonText(doc, object, name, text) && CsReadInstant(text, milliseconds));
  }

// A text of at least one and at most so many characters.
bool CsTakeName(const CsJson &doc, const int object, const string name, const int longest, string &value)
  {
   return(CsJsonText(doc, object, name, value) && StringLen(value) > 0 && StringLen(value) <= longest);
  }

// Which of up to three words a member is, from 0; -1 for none of them.
int CsTakeWord(const CsJson &doc, const int object, const string name, const string first, const string second,
               const string third)
  {
   string word = "";
   if(!CsJsonText(doc, object, name, word) || StringLen(word) == 0)
      return(-1);
   return(word == first ? 0 : word == second ? 1 : word == third ? 2 : -1);
  }

// What names an order: enough to say that the rest was not understood.
bool CsTakeIdentity(const CsJson &doc, const int object, CsOrder &order)
  {
   order.order_id = "";
   order.seq = 0;
   order.magic = 0;
   return(CsTakeName(doc, object, "order_id", 32, order.order_id) && CsJsonLong(doc, object, "seq", order.seq)
          && CsJsonLong(doc, object, "magic", order.magic) && order.seq > 0 && order.magic > 0
          && order.magic < CS_MAGIC_END && (order.magic & CS_LEG_BITS) == 0);
  }

bool CsTakeAccount(const CsJson &doc, const int object, CsOrder &order)
  {
   return(CsTakeName(doc, object, "login", 32, order.login) && CsTakeName(doc, object, "server", 64, order.server)
          && CsTakeName(doc, object, "symbol", 32, order.symbol));
  }

// Levels and their sense: an order that waits has a price; risk cannot be held without a stop.
bool CsTakeLevels(const CsJson &doc, const int object, CsOrder &order)
  {
   if(!CsTakeMaybe(doc, object, "entry_price", order.has_entry, order.entry)
      || !CsTakeMaybe(doc, object, "stop_loss", order.has_stop, order.stop)
      || !CsTakeMaybe(doc, object, "risk", order.has_risk, order.risk) || !CsTakeTargets(doc, object, order))
      return(false);
   return((order.kind == CS_MARKET || order.has_entry) && (order.has_stop || !order.has_risk));
  }

bool CsTakeTerms(const CsJson &doc, const int object, CsOrder &order)
  {
   string volume = "";
   long deviation = 0;
   order.side = CsTakeWord(doc, object, "side", "buy", "sell", "");
   order.kind = CsTakeWord(doc, object, "order_type", "market", "limit", "stop");
   if(order.side < 0 || order.kind < 0 || !CsJsonText(doc, object, "volume", volume)
      || !CsReadDecimal(volume, order.volume) || order.volume <= 0.0
      || !CsJsonLong(doc, object, "max_deviation_points", deviation) || deviation < 0 || deviation > 100000)
      return(false);
   order.deviation = (int)deviation;
   return(CsTakeLevels(doc, object, order) && CsJsonText(doc, object, "comment", order.comment)
          && StringLen(order.comment) <= CS_LONGEST_COMMENT);
  }

// Read an order whose identity has been read. False for what is not understood. Members that this version does not
// know are left alone.
bool CsTakeOrder(const CsJson &doc, const int object, CsOrder &order)
  {
   long began_ms = 0;
   int began = CsJsonMember(doc, object, "began_at");
   order.was_begun = began >= 0 && doc.kind[began] != CS_JSON_NULL;
   if(order.was_begun && !CsTakeInstant(doc, object, "began_at", began_ms))
      return(false);
   return(CsTakeAccount(doc, object, order) && CsTakeTerms(doc, object, order)
          && CsTakeInstant(doc, object, "issued_at", order.issued_ms)
          && CsTakeInstant(doc, object, "expires_at", order.expires_ms));
  }

#endif
