// An Expert that tries one group of the terminal's functions a timer, and prints what came of it.
#property copyright "Countersign"
#property version   "1.00"

#include "Probes.mqh"

input group "What to try"
input string Probes = "files";
input int Period = 100;
input double Volume = 0.1;
input bool Loud = true;
input long Magic = 7;
input ENUM_ORDER_TYPE Kind = ORDER_TYPE_SELL_LIMIT;
input string Url = "https://desk.example/echo?a=b";
input int Patience = 30000;

string probes[];
int done = 0;

int OnInit()
  {
   StringSplit(Probes, 44, probes);
   if(Probes == "nothing")
      return(INIT_PARAMETERS_INCORRECT);
   EventSetMillisecondTimer(Period);
   return(INIT_SUCCEEDED);
  }

void CsInputs()
  {
   CsTold("inputs", IntegerToString(Period) + " " + DoubleToString(Volume, 3) + (Loud ? " loud " : " quiet ")
          + IntegerToString(Magic) + " " + IntegerToString(Kind) + " " + Url);
  }

void OnTimer()
  {
   if(done >= ArraySize(probes))
      return;
   string probe = probes[done];
   done++;
   if(probe == "inputs")
      CsInputs();
   else if(probe == "trade")
      CsTrade(Magic, Volume);
   else if(probe == "pending")
      CsPending(Magic, Volume);
   else if(probe == "request")
      CsRequest(Url, Patience);
   else
      CsProbe(probe);
   CsTold("probed", probe);
  }

void OnDeinit(const int reason)
  {
   EventKillTimer();
   CsTold("reason", IntegerToString(reason));
  }
