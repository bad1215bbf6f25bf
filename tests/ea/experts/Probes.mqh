// What the sample tries, a function a group.
#include "Trades.mqh"

// The answer of a desk and what it was asked.
struct CsAnswer
  {
   int status;
   int error;
   string headers;
   uchar body[];
  };

void CsAsk(const string method, const string url, const string headers, const string text, const int timeout,
           CsAnswer &answer)
  {
   char data[], result[];
   uchar bytes[];
   int size = StringToCharArray(text, bytes, 0, WHOLE_ARRAY, CP_UTF8) - 1;
   ArrayResize(data, size);
   for(int i = 0; i < size; i++)
      data[i] = (char)bytes[i];
   ResetLastError();
   answer.status = WebRequest(method, url, headers, timeout, data, result, answer.headers);
   answer.error = GetLastError();
   ArrayResize(answer.body, ArraySize(result));
   for(int i = 0; i < ArraySize(result); i++)
      answer.body[i] = (uchar)result[i];
  }

void CsRequest(const string url, const int timeout)
  {
   CsAnswer answer;
   CsAsk("POST", url, "X-Key: 1\r\nContent-Type: application/json\r\n", "{\"a\": \"b\"}", timeout, answer);
   CsTold("status", IntegerToString(answer.status));
   CsTold("error", IntegerToString(answer.error));
   CsTold("body", CharArrayToString(answer.body, 0, WHOLE_ARRAY, CP_UTF8));
   CsTold("size", IntegerToString(ArraySize(answer.body)));
   CsTold("headers", answer.headers);
  }

void CsWrite(const string name, const int flags, const string text)
  {
   uchar bytes[];
   int size = StringToCharArray(text, bytes, 0, WHOLE_ARRAY, CP_UTF8) - 1;
   int file = FileOpen(name, flags);
   if(file == INVALID_HANDLE)
     {
      CsTold("not opened", name + " " + IntegerToString(GetLastError()));
      return;
     }
   uint written = FileWriteArray(file, bytes, 0, size);
   FileFlush(file);
   CsTold("written", IntegerToString(written));
   FileClose(file);
  }

string CsRead(const string name, const int flags)
  {
   uchar bytes[];
   int file = FileOpen(name, flags);
   if(file == INVALID_HANDLE)
      return("error " + IntegerToString(GetLastError()));
   FileReadArray(file, bytes);
   FileClose(file);
   return(CharArrayToString(bytes, 0, WHOLE_ARRAY, CP_UTF8));
  }

void CsFiles()
  {
   CsTold("missing", CsRead("Folder\\one.bin", FILE_READ | FILE_BIN));
   CsWrite("Folder\\one.bin", FILE_WRITE | FILE_BIN, "first");
   CsWrite("Folder\\one.bin", FILE_READ | FILE_WRITE | FILE_BIN, "FIR");
   CsTold("one", CsRead("Folder\\one.bin", FILE_READ | FILE_BIN));
   CsWrite("two.bin", FILE_WRITE | FILE_BIN, "second");
   CsTold("not moved", FileMove("two.bin", 0, "Folder\\one.bin", 0) ? "moved" : IntegerToString(GetLastError()));
   CsTold("moved", FileMove("two.bin", 0, "Folder\\one.bin", FILE_REWRITE) ? "moved" : "no");
   CsTold("one now", CsRead("Folder\\one.bin", FILE_READ | FILE_BIN));
   CsTold("two now", FileIsExist("two.bin") ? "there" : IntegerToString(GetLastError()));
   CsWrite("shared.bin", FILE_WRITE | FILE_BIN | FILE_COMMON, "common");
   CsTold("outside", CsRead("..\\one.bin", FILE_READ | FILE_BIN));
   CsTold("deleted", FileDelete("Folder\\one.bin") && !FileIsExist("Folder\\one.bin") ? "gone" : "no");
  }

void CsTexts()
  {
   int file = FileOpen("lines.txt", FILE_WRITE | FILE_READ | FILE_TXT | FILE_ANSI, 9, CP_UTF8);
   FileWriteString(file, "one\r\ntwo\n");
   FileWriteString(file, "three");
   FileSeek(file, 0, SEEK_SET);
   int count = 0;
   while(!FileIsEnding(file))
     {
      CsTold("line", FileReadString(file));
      count++;
     }
   CsTold("lines", IntegerToString(count) + " of " + IntegerToString(FileSize(file)));
   FileClose(file);
  }

// A file that is held, for as long as the program runs.
void CsHold()
  {
   int file = FileOpen("held.bin", FILE_READ | FILE_WRITE | FILE_BIN);
   CsTold("held", file == INVALID_HANDLE ? IntegerToString(GetLastError()) : "mine");
  }

// Written and not flushed.
void CsForget()
  {
   uchar bytes[];
   ArrayResize(bytes, 3);
   ArrayInitialize(bytes, 65);
   int file = FileOpen("forgotten.bin", FILE_WRITE | FILE_BIN);
   FileWriteArray(file, bytes, 0, 3);
   GlobalVariableSet("Countersign.forgotten", 2.0);
   CsTold("forgotten", "written");
  }

void CsVariables()
  {
   CsTold("variable", GlobalVariableCheck("Countersign.count") ? DoubleToString(GlobalVariableGet("Countersign.count"), 1)
                                                              : "none");
   GlobalVariableSet("Countersign.count", 41.5);
   CsTold("condition", GlobalVariableSetOnCondition("Countersign.count", 42.5, 41.5)
          && !GlobalVariableSetOnCondition("Countersign.count", 1.0, 41.5) ? "as it was" : "no");
   GlobalVariablesFlush();
   GlobalVariableSet("Countersign.count", 7.5);
  }

void CsPanel()
  {
   ObjectCreate(0, "CsBack", OBJ_RECTANGLE_LABEL, 0, 0, 0);
   ObjectSetInteger(0, "CsBack", OBJPROP_XDISTANCE, 10);
   ObjectCreate(0, "CsText", OBJ_LABEL, 0, 0, 0);
   ObjectSetInteger(0, "CsText", OBJPROP_COLOR, clrWhite);
   ObjectSetString(0, "CsText", OBJPROP_TEXT,
                   "1234567890123456789012345678901234567890123456789012345678901234567890");
   ObjectCreate(0, "CsGone", OBJ_LABEL, 0, 0, 0);
   ObjectDelete(0, "CsGone");
   CsTold("found", IntegerToString(ObjectFind(0, "CsText")) + " " + IntegerToString(ObjectFind(0, "CsGone")));
   ChartRedraw(0);
   Comment("a comment");
   Alert("an alert");
  }

void CsTimes()
  {
   ulong before = GetTickCount64();
   Sleep(2000);
   CsTold("slept", IntegerToString((long)(GetTickCount64() - before) / 1000));
   CsTold("gmt", IntegerToString(TimeGMT()));
   CsTold("local", IntegerToString(TimeLocal() - TimeGMT()));
   CsTold("server", IntegerToString(TimeTradeServer() - TimeGMT()));
   CsTold("quoted", IntegerToString(TimeCurrent()));
   CsTold("written", TimeToString(0) + " " + TimeToString(86399, TIME_DATE | TIME_SECONDS) + " "
          + TimeToString(3600, TIME_MINUTES));
  }

void CsProbe(const string probe)
  {
   if(probe == "files")
      CsFiles();
   else if(probe == "texts")
      CsTexts();
   else if(probe == "hold")
      CsHold();
   else if(probe == "forget")
      CsForget();
   else if(probe == "variables")
      CsVariables();
   else if(probe == "panel")
      CsPanel();
   else if(probe == "times")
      CsTimes();
   else if(probe == "account")
      CsAccount();
   else if(probe == "symbols")
      CsSymbols();
   else if(probe == "selecting")
      CsSelecting();
   else if(probe == "held")
      CsHeld();
   else if(probe == "history")
      CsHistory();
   else if(probe == "fall")
      CsFall();
   else if(probe == "overflow")
      CsTold("overflow", IntegerToString(2147483647 + StringLen(probe)));
   else if(probe == "remove")
      ExpertRemove();
  }
