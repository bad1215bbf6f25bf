// How much was lost today, and how many orders there were: by the trade server's day, kept over restarts, for each
// account this terminal has been signed in to.
#ifndef COUNTERSIGN_DAY_MQH
#define COUNTERSIGN_DAY_MQH

#include "Clock.mqh"
#include "Decimal.mqh"
#include "Store.mqh"

#define CS_MOST_ACCOUNTS 8
#define CS_RECKON_EVERY_MS 5000

// One account's day. equity is what it began with, or what it had when it was first seen that day; since is that moment
// by the trade server's clock.
struct CsAccountDay
  {
   string login;
   string server;
   long   day;
   long   since;
   double equity;
   long   orders;
  };

struct CsDays
  {
   CsStored     stored;
   CsAccountDay accounts[];
   int          count;
   int          current;     // of the account that is signed in now; -1 while none is
   double       loss;        // today's, as it was reckoned last
   ulong        reckoned;    // at that tick; 0 for never
  };

void CsDaysClear(CsDays &days)
  {
   days.stored.name = "";
   days.stored.generation = 0;
   ArrayResize(days.accounts, CS_MOST_ACCOUNTS);
   days.count = 0;
   days.current = -1;
   days.loss = 0.0;
   days.reckoned = 0;
  }

bool CsDaysWrite(CsDays &days)
  {
   uchar bytes[];
   ArrayResize(bytes, 0);
   CsPutLong(bytes, days.count);
   for(int i = 0; i < days.count; i++)
     {
      CsPutText(bytes, days.accounts[i].login);
      CsPutText(bytes, days.accounts[i].server);
      CsPutLong(bytes, days.accounts[i].day);
      CsPutLong(bytes, days.accounts[i].since);
      CsPutText(bytes, CsDecimalText(days.accounts[i].equity, CS_MOST_PLACES));
      CsPutLong(bytes, days.accounts[i].orders);
     }
   return(CsStoreWrite(days.stored, bytes));
  }

// Read it, once a start; CS_STORE_... says what came of it.
int CsDaysStart(CsDays &days, const string name)
  {
   uchar content[];
   CsPacked packed;
   CsDaysClear(days);
   int status = CsStoreRead(days.stored, name, content);
   if(status == CS_STORE_EMPTY || status == CS_STORE_BROKEN)
      return(status);
   CsUnpack(packed, content);
   long count = CsTakeLong(packed);
   if(count < 0 || count > CS_MOST_ACCOUNTS)
      return(CS_STORE_BROKEN);
   for(int i = 0; i < count; i++)
     {
      days.accounts[i].login = CsTakeText(packed);
      days.accounts[i].server = CsTakeText(packed);
      days.accounts[i].day = CsTakeLong(packed);
      days.accounts[i].since = CsTakeLong(packed);
      packed.is_good = CsReadDecimal(CsTakeText(packed), days.accounts[i].equity) && packed.is_good;
      days.accounts[i].orders = CsTakeLong(packed);
     }
   days.count = (int)count;
   return(CsIsUnpacked(packed) ? status : CS_STORE_BROKEN);
  }

// The place of an account; the one whose day is longest ago makes room for a new one.
int CsAccountPlace(CsDays &days, const string login, const string server)
  {
   int oldest = 0;
   for(int i = 0; i < days.count; i++)
     {
      if(days.accounts[i].login == login && days.accounts[i].server == server)
         return(i);
      if(days.accounts[i].day < days.accounts[oldest].day)
         oldest = i;
     }
   int place = days.count < CS_MOST_ACCOUNTS ? days.count : oldest;
   days.count = MathMax(days.count, place + 1);
   days.accounts[place].login = login;
   days.accounts[place].server = server;
   days.accounts[place].day = -1;
   return(place);
  }

// Note the account that is signed in at a moment of the trade server's clock; a new day begins with its equity.
void CsNoteDay(CsDays &days, const string login, const string server, const long server_seconds, const double equity)
  {
   days.current = CsAccountPlace(days, login, server);
   long day = server_seconds / 86400;
   // A day does not come back: a clock that is set back does not begin one anew.
   if(days.accounts[days.current].day >= day)
      return;
   days.accounts[days.current].day = day;
   days.accounts[days.current].since = server_seconds;
   days.accounts[days.current].equity = equity;
   days.accounts[days.current].orders = 0;
   CsDaysWrite(days);
  }

// Whether the day that is counted is the one of this account.
bool CsIsDayOf(const CsDays &days, const string login, const string server)
  {
   return(days.current >= 0 && days.accounts[days.current].login == login
          && days.accounts[days.current].server == server);
  }

// Count an order of today. False when that cannot be kept.
bool CsCountOrder(CsDays &days)
  {
   if(days.current < 0)
      return(false);
   days.accounts[days.current].orders++;
   return(CsDaysWrite(days));
  }

// Paid in less what was paid out since a moment of the trade server's clock. False when the terminal cannot tell.
bool CsPaidIn(const long since, double &sum)
  {
   sum = 0.0;
   if(!HistorySelect((datetime)since, (datetime)(since + 3 * 86400)))
      return(false);
   for(int i = 0; i < HistoryDealsTotal(); i++)
     {
      ulong deal = HistoryDealGetTicket(i);
      long type = HistoryDealGetInteger(deal, DEAL_TYPE);
      if(deal != 0 && (type == DEAL_TYPE_BALANCE || type == DEAL_TYPE_CREDIT || type == DEAL_TYPE_BONUS))
         sum += HistoryDealGetDouble(deal, DEAL_PROFIT);
     }
   return(true);
  }

// What was lost today, below 0 for a gain: neither paying in nor out changes it. False when nobody can say.
bool CsDayLoss(const CsDays &days, double &loss)
  {
   double paid_in = 0.0;
   if(days.current < 0 || !CsPaidIn(days.accounts[days.current].since, paid_in))
      return(false);
   loss = days.accounts[days.current].equity + paid_in - AccountInfoDouble(ACCOUNT_EQUITY);
   return(true);
  }

// Reckon it for the panel, not at every beat.
void CsReckonLoss(CsDays &days, const ulong tick)
  {
   if(days.reckoned > 0 && tick - days.reckoned < CS_RECKON_EVERY_MS)
      return;
   double loss = 0.0;
   if(CsDayLoss(days, loss))
      days.loss = loss;
   days.reckoned = tick;
  }

#endif
