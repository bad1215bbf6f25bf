// What MQL5's own functions make of things, a line a name.
struct CsKept
  {
   string text;
   long number;
   double numbers[2];
   bool truth;
  };

struct CsSimple
  {
   int one;
   long other;
  };

string CsMade(const string kind)
  {
   string text = "  Ab,cd,,E ";
   string parts[];
   uchar bytes[];
   if(kind == "find")
      return(IntegerToString(StringFind(text, ",")) + " " + IntegerToString(StringFind(text, ",", 5)) + " "
             + IntegerToString(StringFind(text, "x")));
   if(kind == "part")
      return(StringSubstr(text, 2, 2) + StringSubstr(text, 8) + StringSubstr(text, 8, -1));
   if(kind == "replace")
      return(IntegerToString(StringReplace(text, ",", "--")) + text);
   if(kind == "case")
     {
      string lower = text;
      StringToLower(lower);
      StringToUpper(text);
      return(lower + text);
     }
   if(kind == "trim")
      return(IntegerToString(StringTrimLeft(text)) + IntegerToString(StringTrimRight(text)) + text + "|");
   if(kind == "split")
     {
      int count = StringSplit(text, 44, parts);
      text = IntegerToString(count) + parts[1] + "|" + parts[2] + "|" + parts[3];
      count = StringSplit("", 44, parts);
      return(text + IntegerToString(count));
     }
   if(kind == "compare")
      return(IntegerToString(StringCompare("a", "b")) + IntegerToString(StringCompare("b", "a"))
             + (text != "a" ? "other" : "same"));
   if(kind == "character")
     {
      StringSetCharacter(text, 0, 65);
      return(text + ShortToString(8364) + IntegerToString(StringLen(ShortToString(8364))));
     }
   if(kind == "utf8")
     {
      StringToCharArray(ShortToString(55357) + ShortToString(56832) + ShortToString(8364) + ShortToString(233), bytes,
                        0, WHOLE_ARRAY, CP_UTF8);
      return(IntegerToString(ArraySize(bytes)) + CharArrayToString(bytes, 0, WHOLE_ARRAY, CP_UTF8));
     }
   if(kind == "utf8 that is none")
     {
      ArrayResize(bytes, 4);
      bytes[0] = 65;
      bytes[1] = 237;
      bytes[2] = 160;
      bytes[3] = 66;
      return(CharArrayToString(bytes, 0, WHOLE_ARRAY, CP_UTF8));
     }
   if(kind == "a zero ends a text")
     {
      ArrayResize(bytes, 3);
      ArrayInitialize(bytes, 65);
      bytes[1] = 0;
      return(CharArrayToString(bytes, 0, WHOLE_ARRAY, CP_UTF8));
     }
   return("");
  }

string CsReckoned(const string kind)
  {
   double nothing = 0.0;
   if(kind == "to integer")
      return(IntegerToString(StringToInteger(" -12x")) + " " + IntegerToString(StringToInteger("x")) + " "
             + IntegerToString(StringToInteger("9223372036854775807")));
   if(kind == "to double")
      return(DoubleToString(StringToDouble("-1.5e2x"), 1) + " " + DoubleToString(StringToDouble("inf"), 1) + " "
             + DoubleToString(StringToDouble("0x10"), 1));
   if(kind == "to text")
      return(DoubleToString(1.005, 2) + " " + DoubleToString(0.1) + " " + DoubleToString(2.5, 0) + " "
             + DoubleToString(1e15, 2));
   if(kind == "normalized")
      return(DoubleToString(NormalizeDouble(1.084999, 4), 8) + " " + DoubleToString(NormalizeDouble(-2.5, 0), 1));
   if(kind == "rounded")
      return(DoubleToString(MathFloor(-1.5), 0) + DoubleToString(MathCeil(1.2), 0) + DoubleToString(MathRound(2.5), 0)
             + DoubleToString(MathRound(-2.5), 0));
   if(kind == "least and most")
      return(IntegerToString(MathMin(3, 2)) + DoubleToString(MathMax(1.5, 2.5), 1) + IntegerToString(MathAbs(-4))
             + DoubleToString(MathLog10(1000.0), 0) + DoubleToString(MathPow(2.0, 3.0), 0));
   if(kind == "random")
     {
      MathSrand(1);
      int first = MathRand();
      return(IntegerToString(first) + " " + IntegerToString(MathRand()));
     }
   if(kind == "valid")
      return(MathIsValidNumber(MathLog(nothing)) || !MathIsValidNumber(1.0) ? "wrong" : "right");
   return("");
  }

// Copies that MQL5 makes, and rubbish that nobody may rest on.
string CsHeld(const string kind)
  {
   CsKept kept[], one;
   CsSimple simple[], copied[];
   ArrayResize(kept, 2);
   if(kind == "rubbish in structures")
      return(IntegerToString(kept[1].number) + kept[1].text + IntegerToString((long)(one.number != 0)));
   if(kind == "rubbish in a truth")
      return(kept[0].truth ? "true" : "false");
   if(kind == "nothing in memory")
     {
      ZeroMemory(one);
      return(IntegerToString(one.number) + one.text + (one.truth ? "true" : "false"));
     }
   if(kind == "structures are copied")
     {
      ZeroMemory(one);
      one.text = "kept";
      one.numbers[1] = 2.5;
      kept[0] = one;
      one.text = "gone";
      one.numbers[1] = 0.0;
      return(kept[0].text + DoubleToString(kept[0].numbers[1], 1));
     }
   if(kind == "simple structures are copied")
     {
      ArrayResize(simple, 2);
      simple[1].other = 7;
      int count = ArrayCopy(copied, simple);
      return(IntegerToString(count) + IntegerToString(copied[1].other));
     }
   if(kind == "filled")
     {
      double numbers[];
      ArrayResize(numbers, 3, 100);
      ArrayInitialize(numbers, 1);
      ArrayFill(numbers, 1, 2, 2.5);
      string told = DoubleToString(numbers[0] + numbers[1] + numbers[2], 1);
      ArrayFree(numbers);
      return(told + IntegerToString(ArraySize(numbers)));
     }
   return("");
  }

string CsValued(const string kind)
  {
   return(CsMade(kind) + CsReckoned(kind) + CsHeld(kind));
  }
