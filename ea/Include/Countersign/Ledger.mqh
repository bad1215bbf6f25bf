// What became of each order, kept on the disk: what was begun is never sent again, what is known is told until the desk
// has heard it, and what was done long ago is still known by its number.
#ifndef COUNTERSIGN_LEDGER_MQH
#define COUNTERSIGN_LEDGER_MQH

#include "Record.mqh"
#include "Store.mqh"

#define CS_LEDGER_VERSION 1
#define CS_RING_SIZE 1000
#define CS_MOST_OPEN 200

struct CsLedger
  {
   CsStored stored;
   CsRecord open[];
   int      count;
   long     ring_magic[];
   long     ring_seq[];
   int      ring_count;
   long     floor_seq;     // of what the ring has forgotten, the highest
  };

void CsLedgerClear(CsLedger &ledger)
  {
   ledger.stored.name = "";
   ledger.stored.generation = 0;
   ArrayResize(ledger.open, CS_MOST_OPEN);
   ArrayResize(ledger.ring_magic, CS_RING_SIZE);
   ArrayResize(ledger.ring_seq, CS_RING_SIZE);
   ledger.count = 0;
   ledger.ring_count = 0;
   ledger.floor_seq = 0;
  }

// Write it all. False when that failed: then nothing may be sent that rests on it.
bool CsLedgerWrite(CsLedger &ledger)
  {
   uchar bytes[];
   ArrayResize(bytes, 0);
   CsPutLong(bytes, CS_LEDGER_VERSION);
   CsPutLong(bytes, ledger.floor_seq);
   CsPutLong(bytes, ledger.ring_count);
   for(int i = 0; i < ledger.ring_count; i++)
     {
      CsPutLong(bytes, ledger.ring_magic[i]);
      CsPutLong(bytes, ledger.ring_seq[i]);
     }
   CsPutLong(bytes, ledger.count);
   for(int i = 0; i < ledger.count; i++)
      CsPutRecord(bytes, ledger.open[i]);
   return(CsStoreWrite(ledger.stored, bytes));
  }

// Take it all from what was read. False for what is not ours.
bool CsLedgerTake(CsLedger &ledger, CsPacked &packed)
  {
   long version = CsTakeLong(packed);
   ledger.floor_seq = CsTakeLong(packed);
   long ring = CsTakeLong(packed);
   if(version != CS_LEDGER_VERSION || ring < 0 || ring > CS_RING_SIZE)
      return(false);
   for(int i = 0; i < ring; i++)
     {
      ledger.ring_magic[i] = CsTakeLong(packed);
      ledger.ring_seq[i] = CsTakeLong(packed);
     }
   long count = CsTakeLong(packed);
   if(count < 0 || count > CS_MOST_OPEN)
      return(false);
   for(int i = 0; i < count; i++)
      CsTakeRecord(packed, ledger.open[i]);
   ledger.ring_count = (int)ring;
   ledger.count = (int)count;
   return(CsIsUnpacked(packed));
  }

// Read it, once a start; CS_STORE_... says what came of it.
int CsLedgerStart(CsLedger &ledger, const string name)
  {
   uchar content[];
   CsPacked packed;
   CsLedgerClear(ledger);
   int status = CsStoreRead(ledger.stored, name, content);
   if(status == CS_STORE_EMPTY || status == CS_STORE_BROKEN)
      return(status);
   CsUnpack(packed, content);
   return(CsLedgerTake(ledger, packed) ? status : CS_STORE_BROKEN);
  }

// Where an order's record is, or -1.
int CsLedgerFind(const CsLedger &ledger, const long magic)
  {
   for(int i = 0; i < ledger.count; i++)
      if(ledger.open[i].magic == magic)
         return(i);
   return(-1);
  }

// Whether an order was over and told before.
bool CsLedgerRemembers(const CsLedger &ledger, const long magic)
  {
   for(int i = 0; i < ledger.ring_count; i++)
      if(ledger.ring_magic[i] == magic)
         return(true);
   return(false);
  }

// Add a record; where it is, or -1 where there is no room.
int CsLedgerAdd(CsLedger &ledger, const CsRecord &record)
  {
   if(ledger.count >= CS_MOST_OPEN)
      return(-1);
   ledger.open[ledger.count] = record;
   ledger.count++;
   return(ledger.count - 1);
  }

// Take a record away as if it had never been: it was not sent, and nobody needs to know.
void CsLedgerDrop(CsLedger &ledger, const int place)
  {
   for(int i = place; i < ledger.count - 1; i++)
      ledger.open[i] = ledger.open[i + 1];
   ledger.count--;
  }

// Remember an order as done, and forget the one that was done longest ago.
void CsLedgerRemember(CsLedger &ledger, const long magic, const long seq)
  {
   if(CsLedgerRemembers(ledger, magic))
      return;
   if(ledger.ring_count == CS_RING_SIZE)
     {
      ledger.floor_seq = MathMax(ledger.floor_seq, ledger.ring_seq[0]);
      for(int i = 0; i < CS_RING_SIZE - 1; i++)
        {
         ledger.ring_magic[i] = ledger.ring_magic[i + 1];
         ledger.ring_seq[i] = ledger.ring_seq[i + 1];
        }
      ledger.ring_count--;
     }
   ledger.ring_magic[ledger.ring_count] = magic;
   ledger.ring_seq[ledger.ring_count] = seq;
   ledger.ring_count++;
  }

// Note that the desk has heard something of an order; one that is over is only remembered from then on.
void CsLedgerTold(CsLedger &ledger, const int place, const int told)
  {
   ledger.open[place].told = told;
   if(ledger.open[place].state != CS_OVER || CsOwed(ledger.open[place]) != CS_TOLD_NOTHING)
      return;
   CsLedgerRemember(ledger, ledger.open[place].magic, ledger.open[place].seq);
   CsLedgerDrop(ledger, place);
  }

#endif
