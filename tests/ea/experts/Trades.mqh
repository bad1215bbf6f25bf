// What the sample tries at the trade server.
void CsTold(const string name, const string value)
  {
   Print(name + "=" + value);
  }

void CsAccount()
  {
   CsTold("login", IntegerToString(AccountInfoInteger(ACCOUNT_LOGIN)) + " " + AccountInfoString(ACCOUNT_SERVER) + " "
          + AccountInfoString(ACCOUNT_CURRENCY) + " " + AccountInfoString(ACCOUNT_COMPANY));
   CsTold("equity", DoubleToString(AccountInfoDouble(ACCOUNT_EQUITY), 2));
   bool hedging = AccountInfoInteger(ACCOUNT_MARGIN_MODE) == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING;
   CsTold("hedging", hedging ? "yes" : "no");
   CsTold("allowed", IntegerToString(TerminalInfoInteger(TERMINAL_TRADE_ALLOWED))
          + IntegerToString(MQLInfoInteger(MQL_TRADE_ALLOWED)) + IntegerToString(AccountInfoInteger(ACCOUNT_TRADE_ALLOWED))
          + IntegerToString(AccountInfoInteger(ACCOUNT_TRADE_EXPERT)));
   CsTold("connected", IntegerToString(TerminalInfoInteger(TERMINAL_CONNECTED)));
   CsTold("ping", IntegerToString(TerminalInfoInteger(TERMINAL_PING_LAST)));
   CsTold("build", IntegerToString(TerminalInfoInteger(TERMINAL_BUILD)));
   CsTold("data", TerminalInfoString(TERMINAL_DATA_PATH));
   CsTold("name", MQLInfoString(MQL_PROGRAM_NAME));
  }

void CsSymbols()
  {
   bool is_custom = true;
   CsTold("total", IntegerToString(SymbolsTotal(false)) + " " + IntegerToString(SymbolsTotal(true)));
   CsTold("first", SymbolName(0, true));
   CsTold("exist", SymbolExist("EURUSD", is_custom) && !is_custom && !SymbolExist("NONE", is_custom) ? "yes" : "no");
   CsTold("unknown", SymbolSelect("NONE", true) ? "selected" : IntegerToString(GetLastError()));
   CsTold("spec", IntegerToString(SymbolInfoInteger("EURUSD", SYMBOL_DIGITS)) + " "
          + DoubleToString(SymbolInfoDouble("EURUSD", SYMBOL_POINT), 5) + " "
          + DoubleToString(SymbolInfoDouble("EURUSD", SYMBOL_TRADE_TICK_VALUE_LOSS), 2) + " "
          + DoubleToString(SymbolInfoDouble("EURUSD", SYMBOL_VOLUME_MIN), 2) + " "
          + SymbolInfoString("EURUSD", SYMBOL_CURRENCY_PROFIT));
   long filling = SymbolInfoInteger("EURUSD", SYMBOL_FILLING_MODE);
   CsTold("filling", (filling & SYMBOL_FILLING_FOK) != 0 && (filling & SYMBOL_FILLING_BOC) == 0 ? "fok" : "other");
   double profit = 0.0, margin = 0.0;
   OrderCalcProfit(ORDER_TYPE_BUY, "EURUSD", 1.0, 1.08, 1.081, profit);
   OrderCalcMargin(ORDER_TYPE_BUY, "EURUSD", 1.0, 1.08, margin);
   CsTold("calculated", DoubleToString(profit, 2) + " " + DoubleToString(margin, 2));
  }

void CsSelecting()
  {
   MqlTick tick;
   ZeroMemory(tick);
   CsTold("before", SymbolInfoTick("XAUUSD", tick) ? "quoted" : IntegerToString(GetLastError()));
   CsTold("select", SymbolSelect("XAUUSD", true) ? "yes" : "no");
   CsTold("at once", SymbolInfoTick("XAUUSD", tick) ? "quoted" : "not yet");
   Sleep(20);
   CsTold("later", SymbolInfoTick("XAUUSD", tick) ? DoubleToString(tick.bid, 2) : "not yet");
  }

void CsFill(MqlTradeRequest &request, const long magic, const double volume)
  {
   ZeroMemory(request);
   request.symbol = "EURUSD";
   request.magic = (ulong)magic;
   request.volume = volume;
   request.type_filling = ORDER_FILLING_FOK;
   request.type_time = ORDER_TIME_GTC;
   request.comment = "sample";
  }

void CsSend(const MqlTradeRequest &request)
  {
   MqlTradeResult result;
   ZeroMemory(result);
   ResetLastError();
   bool taken = OrderSend(request, result);
   CsTold("sent", (taken ? "taken " : "not taken ") + IntegerToString(result.retcode) + " "
          + IntegerToString(GetLastError()) + (result.order > 0 ? " order" : " none") + " "
          + DoubleToString(result.volume, 2));
  }

void CsTrade(const long magic, const double volume)
  {
   MqlTradeRequest request;
   CsFill(request, magic, volume);
   request.action = TRADE_ACTION_DEAL;
   request.type = ORDER_TYPE_BUY;
   request.price = SymbolInfoDouble("EURUSD", SYMBOL_ASK);
   request.sl = NormalizeDouble(request.price - 0.01, 5);
   MqlTradeCheckResult checked;
   ZeroMemory(checked);
   CsTold("checked", OrderCheck(request, checked) ? "good " + IntegerToString(checked.retcode)
                                                 : "bad " + IntegerToString(checked.retcode));
   CsSend(request);
  }

void CsPending(const long magic, const double volume)
  {
   MqlTradeRequest request;
   CsFill(request, magic, volume);
   request.action = TRADE_ACTION_PENDING;
   request.type = ORDER_TYPE_BUY_LIMIT;
   request.type_filling = ORDER_FILLING_RETURN;
   request.price = NormalizeDouble(SymbolInfoDouble("EURUSD", SYMBOL_BID) - 0.01, 5);
   CsSend(request);
   for(int i = OrdersTotal() - 1; i >= 0; i--)
     {
      ulong ticket = OrderGetTicket(i);
      CsTold("waiting", IntegerToString(OrderGetInteger(ORDER_MAGIC)) + " " + IntegerToString(OrderGetInteger(ORDER_STATE))
             + " " + DoubleToString(OrderGetDouble(ORDER_VOLUME_CURRENT), 2) + " " + OrderGetString(ORDER_SYMBOL));
      ZeroMemory(request);
      request.action = TRADE_ACTION_REMOVE;
      request.order = ticket;
      CsSend(request);
      CsTold("left", OrderSelect(ticket) ? "there" : IntegerToString(GetLastError()));
     }
  }

void CsHeld()
  {
   for(int i = PositionsTotal() - 1; i >= 0; i--)
     {
      ulong ticket = PositionGetTicket(i);
      CsTold("position", IntegerToString(PositionGetInteger(POSITION_MAGIC)) + " "
             + IntegerToString(PositionGetInteger(POSITION_TYPE)) + " " + DoubleToString(PositionGetDouble(POSITION_VOLUME), 2)
             + " " + PositionGetString(POSITION_SYMBOL) + " " + PositionGetString(POSITION_COMMENT));
      CsTold("selected", PositionSelectByTicket(ticket) ? "yes" : "no");
     }
   CsTold("total", IntegerToString(PositionsTotal()));
   CsTold("nobody's", PositionSelectByTicket(1) ? "there" : IntegerToString(GetLastError()));
  }

void CsHistory()
  {
   CsTold("selected", HistorySelect(TimeTradeServer() - 3600, TimeTradeServer() + 60) ? "yes" : "no");
   for(int i = 0; i < HistoryDealsTotal(); i++)
     {
      ulong deal = HistoryDealGetTicket(i);
      ulong order = (ulong)HistoryDealGetInteger(deal, DEAL_ORDER);
      CsTold("deal", IntegerToString(HistoryDealGetInteger(deal, DEAL_MAGIC)) + " "
             + IntegerToString(HistoryDealGetInteger(deal, DEAL_ENTRY)) + " "
             + DoubleToString(HistoryDealGetDouble(deal, DEAL_VOLUME), 2) + " of "
             + IntegerToString(HistoryOrderGetInteger(order, ORDER_STATE)) + " "
             + HistoryOrderGetString(order, ORDER_COMMENT));
     }
   CsTold("orders", IntegerToString(HistoryOrdersTotal()));
   CsTold("none", HistoryDealSelect(1) ? "there" : IntegerToString(GetLastError()));
   CsTold("nothing of it", IntegerToString(HistoryDealGetInteger(1, DEAL_MAGIC)));
  }

// What a terminal ends a program for.
void CsFall()
  {
   int numbers[];
   int place = ArraySize(numbers);
   numbers[place] = 1;
  }
