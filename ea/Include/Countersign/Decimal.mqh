// Figures as the desk writes them, decimal texts, and the doubles a terminal reckons with.
//
// A double is near what was meant, never more: 0.29 lots in steps of 0.01 are 28.999999999999996 steps. Whatever is cut
// down here forgives a millionth of a step first, and whatever is written is rounded to its places.
#ifndef COUNTERSIGN_DECIMAL_MQH
#define COUNTERSIGN_DECIMAL_MQH

#define CS_MOST_PLACES 8
#define CS_MOST_READ_PLACES 16

const double CS_STEP_SLACK = 1e-6;

// How many digits stand from a place on.
int CsDigitsAt(const string text, const int place)
  {
   int size = StringLen(text);
   int end = place;
   while(end < size && StringGetCharacter(text, end) >= 48 && StringGetCharacter(text, end) <= 57)
      end++;
   return(end - place);
  }

// Whether a text is a figure: at most 15 digits before and 16 behind the point, a minus at most, and nothing else.
bool CsIsDecimal(const string text)
  {
   int size = StringLen(text);
   int place = size > 0 && StringGetCharacter(text, 0) == 45 ? 1 : 0;
   int whole = CsDigitsAt(text, place);
   if(whole < 1 || whole > 15)
      return(false);
   place += whole;
   if(place == size)
      return(true);
   int part = CsDigitsAt(text, place + 1);
   return(StringGetCharacter(text, place) == 46 && part >= 1 && part <= CS_MOST_READ_PLACES && place + 1 + part == size);
  }

// Read a figure. False, and the value as it was, for what is none.
bool CsReadDecimal(const string text, double &value)
  {
   if(!CsIsDecimal(text))
      return(false);
   value = StringToDouble(text);
   return(true);
  }

// A number with so many places, at most 8; never a minus before nothing but zeros.
string CsDecimalText(const double value, const int places)
  {
   int most = places < 0 ? 0 : places > CS_MOST_PLACES ? CS_MOST_PLACES : places;
   double rounded = NormalizeDouble(value, most);
   return(DoubleToString(rounded == 0.0 ? 0.0 : rounded, most));
  }

// A number with as few places as it needs, at most 8.
string CsShortText(const double value)
  {
   string text = CsDecimalText(value, CS_MOST_PLACES);
   int end = StringLen(text);
   while(end > 0 && StringGetCharacter(text, end - 1) == 48)
      end--;
   if(end > 0 && StringGetCharacter(text, end - 1) == 46)
      end--;
   return(StringSubstr(text, 0, end));
  }

// How many places a step of volume or price has, 8 at most.
int CsPlaces(const double step)
  {
   string text = CsShortText(step);
   int point = StringFind(text, ".");
   return(point < 0 ? 0 : StringLen(text) - point - 1);
  }

// How many whole steps are in a volume.
long CsWholeSteps(const double volume, const double step)
  {
   return((long)MathFloor(volume / step + CS_STEP_SLACK));
  }

// Down to whole steps, never up.
double CsFloorToStep(const double volume, const double step)
  {
   return(NormalizeDouble((double)CsWholeSteps(volume, step) * step, CsPlaces(step)));
  }

// The price nearest to one that the symbol can have.
double CsToTick(const double price, const double tick_size, const int digits)
  {
   return(NormalizeDouble(MathRound(price / tick_size) * tick_size, digits));
  }

// Whether one is more than the other by more than rounding can explain, measured in steps.
bool CsIsMore(const double one, const double other, const double step)
  {
   return(one - other > step * CS_STEP_SLACK);
  }

#endif
