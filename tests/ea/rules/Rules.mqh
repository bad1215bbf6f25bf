// MQL5 that breaks one rule a name.
int CsHigh(const uchar value, const int bits)
  {
   return(value << bits);
  }

int broken(const string rule)
  {
   uchar grows[], stays[4];
   uint word = 1;
   int number = 2147483647;
   int place = 4;
   ArrayResize(grows, 4);
   if(rule == "read beyond")
      return(grows[place]);
   if(rule == "read beyond fixed")
      return(stays[place]);
   if(rule == "read before")
      return(grows[place - 5]);
   if(rule == "write beyond")
      grows[place] = 1;
   if(rule == "resize fixed")
      ArrayResize(stays, 8);
   if(rule == "resize to less than nothing")
      ArrayResize(grows, place - 5);
   if(rule == "copy beyond")
      ArrayCopy(stays, grows, 1);
   if(rule == "copy from beyond")
      ArrayCopy(grows, stays, 0, 2, 3);
   if(rule == "cut a text beyond")
      return(StringLen(StringSubstr(rule, 0, 99)));
   if(rule == "shift too far")
      return((int)(word << (place + 28)));
   if(rule == "shift into the sign")
      return(CsHigh(255, place + 21) + CsHigh(255, place + 20));
   if(rule == "overflow")
      return(number + place);
   if(rule == "fixed is not zero")
      return(stays[0]);
   if(rule == "grown is not zero")
      return(grows[3]);
   if(rule == "zero behind a text")
      return(StringToCharArray("abc", grows, 0, WHOLE_ARRAY, CP_UTF8));
   if(rule == "a longer array stays long")
     {
      ArrayResize(grows, 9);
      StringToCharArray("abc", grows, 0, WHOLE_ARRAY, CP_UTF8);
      return(ArraySize(grows));
     }
   return(0);
  }
