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
   if(rule == "cut nothing out of a text")
      return(StringLen(StringSubstr(rule, 2, place - 4)));
   if(rule == "cut behind a text")
      return(StringLen(StringSubstr(rule, StringLen(rule))));
   if(rule == "shift too far")
      return((int)(word << (place + 28)));
   if(rule == "shift into the sign")
      return(CsHigh(255, place + 21) + CsHigh(255, place + 20));
   if(rule == "overflow")
      return(number + place);
   if(rule == "divide by nothing")
      return((int)(1.5 / (place - 4.0)));
   if(rule == "no such whole number")
      return((int)(2147483648.0 + place));
   if(rule == "before a text")
      return(StringGetCharacter(rule, place - 5));
   if(rule == "find beyond")
      return(StringFind(rule, "x", 99));
   if(rule == "find nothing")
      return(StringFind(rule, ""));
   if(rule == "too great for a long")
      return((int)StringToInteger("9223372036854775808"));
   if(rule == "no number to write")
      return(StringLen(DoubleToString(MathLog(place - 4.0), 2)));
   if(rule == "bytes beyond")
      return(StringLen(CharArrayToString(grows, 2, 3, CP_UTF8)));
   if(rule == "fill beyond")
      ArrayFill(grows, 2, 3, 1);
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
