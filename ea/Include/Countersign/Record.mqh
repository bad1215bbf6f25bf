// One order as it is kept: who it is, where it stands at the broker, and what of that the desk has heard.
#ifndef COUNTERSIGN_RECORD_MQH
#define COUNTERSIGN_RECORD_MQH

#include "Decimal.mqh"
#include "Pack.mqh"

// Where an order stands here. From CS_LOOKING on it may have reached the trade server and is never sent again.
#define CS_ASKING 0      // the desk is asked whether it may begin; nothing was sent
#define CS_LOOKING 1     // begun; what became of it is to be found out
#define CS_WAITING 2     // waits at the broker for its price
#define CS_OPEN 3        // has opened a position
#define CS_OVER 4        // nothing more will come of it

// What the desk is told of it, in the words of an acknowledgement.
#define CS_TOLD_NOTHING 0
#define CS_PLACED 1
#define CS_FILLED 2
#define CS_CLOSED 3
#define CS_REJECTED 4
#define CS_FAILED 5

struct CsRecord
  {
   string order_id;
   long   magic;
   long   seq;
   string login;
   string server;
   string symbol;          // the broker's name
   int    side;
   int    kind;
   double volume;          // of all its legs, as they were sent
   long   issued_ms;
   long   expires_ms;
   long   began_ms;
   int    state;
   int    reached;         // the newest there is to tell
   int    told;            // the newest the desk has heard
   long   ticket;
   string price;
   string filled;
   long   retcode;
   string error;
   string close_price;
   string close_volume;
   string profit;
   string close_reason;
   ulong  missing_since;   // ticks, not kept: since when there is no trace of it, 0 while there is one
   ulong  partly_since;    // and since when only a part of it is there
   ulong  tell_at;         // when the desk is to be told
   ulong  withdraw_at;     // and when it is tried to withdraw it
  };

void CsRecordClear(CsRecord &record)
  {
   record.order_id = "";
   record.magic = 0;
   record.seq = 0;
   record.login = "";
   record.server = "";
   record.symbol = "";
   record.side = 0;
   record.kind = 0;
   record.volume = 0.0;
   record.issued_ms = 0;
   record.expires_ms = 0;
   record.began_ms = 0;
   record.state = CS_OVER;
   record.reached = CS_TOLD_NOTHING;
   record.told = CS_TOLD_NOTHING;
   record.ticket = 0;
   record.price = "";
   record.filled = "";
   record.retcode = 0;
   record.error = "";
   record.close_price = "";
   record.close_volume = "";
   record.profit = "";
   record.close_reason = "";
   record.missing_since = 0;
   record.partly_since = 0;
   record.tell_at = 0;
   record.withdraw_at = 0;
  }

void CsPutRecord(uchar &bytes[], const CsRecord &record)
  {
   CsPutText(bytes, record.order_id);
   CsPutLong(bytes, record.magic);
   CsPutLong(bytes, record.seq);
   CsPutText(bytes, record.login);
   CsPutText(bytes, record.server);
   CsPutText(bytes, record.symbol);
   CsPutLong(bytes, record.side);
   CsPutLong(bytes, record.kind);
   CsPutText(bytes, CsDecimalText(record.volume, CS_MOST_PLACES));
   CsPutLong(bytes, record.issued_ms);
   CsPutLong(bytes, record.expires_ms);
   CsPutLong(bytes, record.began_ms);
   CsPutLong(bytes, record.state);
   CsPutLong(bytes, record.reached);
   CsPutLong(bytes, record.told);
   CsPutLong(bytes, record.ticket);
   CsPutText(bytes, record.price);
   CsPutText(bytes, record.filled);
   CsPutLong(bytes, record.retcode);
   CsPutText(bytes, record.error);
   CsPutText(bytes, record.close_price);
   CsPutText(bytes, record.close_volume);
   CsPutText(bytes, record.profit);
   CsPutText(bytes, record.close_reason);
  }

void CsTakeRecord(CsPacked &packed, CsRecord &record)
  {
   CsRecordClear(record);
   record.order_id = CsTakeText(packed);
   record.magic = CsTakeLong(packed);
   record.seq = CsTakeLong(packed);
   record.login = CsTakeText(packed);
   record.server = CsTakeText(packed);
   record.symbol = CsTakeText(packed);
   record.side = (int)CsTakeLong(packed);
   record.kind = (int)CsTakeLong(packed);
   packed.is_good = CsReadDecimal(CsTakeText(packed), record.volume) && packed.is_good;
   record.issued_ms = CsTakeLong(packed);
   record.expires_ms = CsTakeLong(packed);
   record.began_ms = CsTakeLong(packed);
   record.state = (int)CsTakeLong(packed);
   record.reached = (int)CsTakeLong(packed);
   record.told = (int)CsTakeLong(packed);
   record.ticket = CsTakeLong(packed);
   record.price = CsTakeText(packed);
   record.filled = CsTakeText(packed);
   record.retcode = CsTakeLong(packed);
   record.error = CsTakeText(packed);
   record.close_price = CsTakeText(packed);
   record.close_volume = CsTakeText(packed);
   record.profit = CsTakeText(packed);
   record.close_reason = CsTakeText(packed);
  }

// What the desk has to be told next of an order; CS_TOLD_NOTHING where it has heard it all. It hears of a position
// before it hears that it was closed.
int CsOwed(const CsRecord &record)
  {
   if(record.reached == record.told)
      return(CS_TOLD_NOTHING);
   return(record.reached == CS_CLOSED && record.told != CS_FILLED ? CS_FILLED : record.reached);
  }

#endif
