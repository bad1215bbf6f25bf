// The Expert Advisor of Countersign: it fetches the orders you have approved from your desk, executes them within the
// limits below, and tells the desk what became of them. It never trades by itself.
//
// Before it can ask the desk: Tools > Options > Expert Advisors > Allow WebRequest for listed URL, and add the address
// of your desk. Then drag it on any one chart, with Algo Trading allowed, and enter the code the desk shows.
#property copyright "Countersign"
#property version   "1.00"
#property description "Executes the orders you have approved at your Countersign desk."

#include <Countersign/Expert.mqh>

input group "Your desk"
input string InpDeskUrl = "https://";            // Address of the desk, as in your browser
input string InpPairingCode = "";                // Pairing code from the desk (used once)
input string InpDeviceId = "";                   // or: device id, and
input string InpSecret = "";                     // its secret, instead of a code
input bool   InpEncrypt = true;                  // Encrypt requests beside TLS

input group "Your limits (0 or empty: none)"
input double InpMaxLotsPerOrder = 1.0;           // Most lots in one order
input double InpMaxTotalLots = 5.0;              // Most lots open and waiting at once
input string InpAllowedSymbols = "";             // Symbols, with commas; EUR* means all that begin so
input bool   InpStopRequired = true;             // Refuse orders without a stop loss
input int    InpMaxSpreadPoints = 0;             // Widest spread, in points
input double InpMaxDailyLoss = 0.0;              // Most that may be lost in a day, in your currency
input int    InpMaxOrdersPerDay = 50;            // Most orders in a day
input int    InpMaxSilenceSeconds = 60;          // Refuse when the desk was not heard for so long
input int    InpMaxDeviationPoints = 0;          // Most the price may be off, in points (0: as the desk says)

input group "Names of symbols"
input string InpSymbolPrefix = "";               // What your broker puts before names, e.g. m
input string InpSymbolSuffix = "";               // What your broker puts behind names, e.g. .pro

CsExpert program;

void CsTakeInputs(CsSettings &settings)
  {
   settings.base = CsReadAddress(InpDeskUrl);
   settings.code = CsReadCode(InpPairingCode);
   settings.is_code_odd = StringLen(InpPairingCode) > 0 && StringLen(settings.code) == 0;
   settings.device_id = InpDeviceId;
   settings.secret = InpSecret;
   settings.is_sealing = InpEncrypt;
   settings.prefix = InpSymbolPrefix;
   settings.suffix = InpSymbolSuffix;
   settings.max_deviation = InpMaxDeviationPoints;
   settings.policy.max_lots = InpMaxLotsPerOrder;
   settings.policy.max_total_lots = InpMaxTotalLots;
   settings.policy.symbols = InpAllowedSymbols;
   settings.policy.stop_required = InpStopRequired;
   settings.policy.max_spread_points = InpMaxSpreadPoints;
   settings.policy.max_daily_loss = InpMaxDailyLoss;
   settings.policy.max_orders_a_day = InpMaxOrdersPerDay;
   settings.policy.max_silence_seconds = InpMaxSilenceSeconds;
  }

// Even what cannot work stays on the chart: the panel says what is wrong.
int OnInit()
  {
   CsTakeInputs(program.settings);
   CsStart(program);
   CsPanelDraw(program);
   return(EventSetMillisecondTimer(1000) ? INIT_SUCCEEDED : INIT_FAILED);
  }

void OnTimer()
  {
   CsBeat(program);
  }

void OnDeinit(const int reason)
  {
   EventKillTimer();
   CsStop(program);
   Print("Countersign: ended (" + IntegerToString(reason) + ")");
  }
