// What stands on the chart: whether all is well, in words and in colours, and what the last order came to.
//
// A label shows 63 characters. Colours only repeat what the words say.
#ifndef COUNTERSIGN_PANEL_MQH
#define COUNTERSIGN_PANEL_MQH

#include "Reasons.mqh"
#include "State.mqh"

#define CS_PANEL_LINES 9
#define CS_PANEL_LINE_HEIGHT 16
#define CS_PANEL_WIDTH 420
#define CS_LABEL_SIZE 63
#define CS_SILENT_MS 60000

#define CS_PLAIN 0
#define CS_GOOD 1
#define CS_BAD 2

const string CS_PANEL = "CountersignPanel";

void CsPanelBack()
  {
   string name = CS_PANEL + "Back";
   if(ObjectFind(0, name) >= 0)
      return;
   ObjectCreate(0, name, OBJ_RECTANGLE_LABEL, 0, 0, 0);
   ObjectSetInteger(0, name, OBJPROP_XDISTANCE, 8);
   ObjectSetInteger(0, name, OBJPROP_YDISTANCE, 20);
   ObjectSetInteger(0, name, OBJPROP_XSIZE, CS_PANEL_WIDTH);
   ObjectSetInteger(0, name, OBJPROP_YSIZE, CS_PANEL_LINES * CS_PANEL_LINE_HEIGHT + 12);
   ObjectSetInteger(0, name, OBJPROP_BGCOLOR, clrWhite);
   ObjectSetInteger(0, name, OBJPROP_BORDER_TYPE, BORDER_FLAT);
   ObjectSetInteger(0, name, OBJPROP_CORNER, CORNER_LEFT_UPPER);
   ObjectSetInteger(0, name, OBJPROP_SELECTABLE, 0);
   ObjectSetInteger(0, name, OBJPROP_HIDDEN, 1);
  }

// One line of the panel; kind is CS_PLAIN, CS_GOOD or CS_BAD.
void CsPanelLine(const int line, const string text, const int kind)
  {
   string name = CS_PANEL + IntegerToString(line);
   if(ObjectFind(0, name) < 0)
     {
      ObjectCreate(0, name, OBJ_LABEL, 0, 0, 0);
      ObjectSetInteger(0, name, OBJPROP_XDISTANCE, 16);
      ObjectSetInteger(0, name, OBJPROP_YDISTANCE, 26 + line * CS_PANEL_LINE_HEIGHT);
      ObjectSetInteger(0, name, OBJPROP_CORNER, CORNER_LEFT_UPPER);
      ObjectSetInteger(0, name, OBJPROP_FONTSIZE, 9);
      ObjectSetString(0, name, OBJPROP_FONT, "Segoe UI");
      ObjectSetInteger(0, name, OBJPROP_SELECTABLE, 0);
      ObjectSetInteger(0, name, OBJPROP_HIDDEN, 1);
     }
   ObjectSetInteger(0, name, OBJPROP_COLOR, kind == CS_GOOD ? clrGreen : kind == CS_BAD ? clrRed : clrBlack);
   ObjectSetString(0, name, OBJPROP_TEXT, StringLen(text) > 0 ? CsCut(text, CS_LABEL_SIZE) : " ");
  }

void CsPanelRemove()
  {
   ObjectDelete(0, CS_PANEL + "Back");
   for(int i = 0; i < CS_PANEL_LINES; i++)
      ObjectDelete(0, CS_PANEL + IntegerToString(i));
   ChartRedraw(0);
  }

// Who this terminal is to the desk.
string CsLinkText(const CsExpert &expert)
  {
   if(CsHasCredentials(expert.desk.credentials))
      return("OK: linked as device " + expert.desk.credentials.device_id);
   if(expert.is_pair_refused)
      return("NOT LINKED: the pairing code is wrong, used or too old");
   if(expert.settings.is_code_odd)
      return("NOT LINKED: a pairing code has 10 letters and digits");
   return(StringLen(expert.settings.code) > 0 ? "Pairing ..." : "NOT LINKED: get a code from the desk and enter it");
  }

string CsAgoText(const long milliseconds)
  {
   return(milliseconds < 0 ? "not yet" : IntegerToString(milliseconds / 1000) + " s ago");
  }

// Whether the desk is heard.
string CsDeskText(const CsExpert &expert)
  {
   long silence = CsDeskSilence(expert.desk);
   if(expert.desk.http.error == ERR_FUNCTION_NOT_ALLOWED)
      return("PROBLEM: the terminal may not ask the desk yet, see below");
   if(StringLen(expert.desk.trouble) > 0)
      return("PROBLEM: " + expert.desk.trouble);
   if(silence >= 0 && silence < CS_SILENT_MS)
      return("OK: the desk answers, last " + CsAgoText(silence));
   return("The desk was heard " + CsAgoText(silence));
  }

string CsClockText(const CsClock &clock)
  {
   if(!clock.is_set)
      return("Clock: the desk's time is not known yet");
   string ahead = IntegerToString(clock.pc_ahead_ms / 1000) + " s ahead of the desk";
   return(clock.offset_kind == CS_OFFSET_CERTAIN ? "Clock: this computer is " + ahead
          : "Clock: " + ahead + "; waiting for a quote");
  }

string CsLossText(const CsExpert &expert)
  {
   double limit = expert.settings.policy.max_daily_loss;
   int digits = (int)AccountInfoInteger(ACCOUNT_CURRENCY_DIGITS);
   if(expert.days.current < 0)
      return("Today: not known yet");
   string lost = "Today: lost " + CsDecimalText(MathMax(expert.days.loss, 0.0), digits);
   return(lost + (limit > 0.0 ? " of " + CsDecimalText(limit, digits) + " allowed" : ", no limit set") + ", orders "
          + IntegerToString(expert.days.accounts[expert.days.current].orders));
  }

// The last line but one: how to let the terminal ask the desk, where it may not.
string CsHelpText(const CsExpert &expert, const int line)
  {
   if(expert.desk.http.error != ERR_FUNCTION_NOT_ALLOWED)
      return("");
   return(line == 0 ? "Tools > Options > Expert Advisors > Allow WebRequest for:"
          : "add " + expert.settings.base);
  }

// Draw it all as it stands now.
void CsPanelDraw(const CsExpert &expert)
  {
   bool halted = StringLen(expert.halt) > 0;
   bool trades = MQLInfoInteger(MQL_TRADE_ALLOWED) != 0 && TerminalInfoInteger(TERMINAL_TRADE_ALLOWED) != 0;
   string link = CsLinkText(expert), desk = CsDeskText(expert), help = CsHelpText(expert, 0);
   bool linked = CsHasCredentials(expert.desk.credentials);
   CsPanelBack();
   CsPanelLine(0, halted ? "STOPPED: " + expert.halt : trades ? "Countersign: running"
               : "Countersign: PAUSED, Algo Trading is off", halted || !trades ? CS_BAD : CS_GOOD);
   CsPanelLine(1, link, linked ? CS_GOOD : CS_BAD);
   CsPanelLine(2, desk, CsBeginsWith(desk, "OK") ? CS_GOOD : CsBeginsWith(desk, "PROBLEM") ? CS_BAD : CS_PLAIN);
   CsPanelLine(3, CsClockText(expert.desk.clock), CS_PLAIN);
   CsPanelLine(4, CsIsSignedIn() ? "Account " + CsLogin() + " at " + CsServer() : "No account is signed in", CS_PLAIN);
   CsPanelLine(5, CsLossText(expert), CS_PLAIN);
   CsPanelLine(6, "Last order: " + expert.last_order, CS_PLAIN);
   CsPanelLine(7, StringLen(help) > 0 ? help : StringLen(expert.last_refusal) > 0 ? "Refused: " + expert.last_refusal : "",
               CS_BAD);
   CsPanelLine(8, CsHelpText(expert, 1), CS_BAD);
   ChartRedraw(0);
  }

#endif
