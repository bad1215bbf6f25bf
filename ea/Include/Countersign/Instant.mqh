// Instants as the desk writes them, RFC 3339 in UTC with a Z, and as milliseconds since 1970.
#ifndef COUNTERSIGN_INSTANT_MQH
#define COUNTERSIGN_INSTANT_MQH

#define CS_DAY_MS 86400000

// Days since 1970 of a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil).
long CsDaysOf(const int year, const int month, const int day)
  {
   long shifted = month <= 2 ? year - 1 : year;
   long era = (shifted >= 0 ? shifted : shifted - 399) / 400;
   long year_of_era = shifted - era * 400;
   long day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
   return(era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468);
  }

// The number with so many digits at a place, or -1.
int CsNumberAt(const string text, const int place, const int digits)
  {
   if(place + digits > StringLen(text))
      return(-1);
   int number = 0;
   for(int i = place; i < place + digits; i++)
     {
      int digit = (int)StringGetCharacter(text, i) - 48;
      if(digit < 0 || digit > 9)
         return(-1);
      number = number * 10 + digit;
     }
   return(number);
  }

bool CsIsLeapYear(const int year)
  {
   return(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
  }

int CsDaysInMonth(const int year, const int month)
  {
   if(month == 2)
      return(CsIsLeapYear(year) ? 29 : 28);
   return(month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31);
  }

// The milliseconds of what follows the seconds, up to and with the Z; -1 for what is none.
int CsFractionAt(const string text, const int place)
  {
   int size = StringLen(text);
   if(place >= size || StringGetCharacter(text, size - 1) != 90)
      return(-1);
   if(place == size - 1)
      return(0);
   int digits = size - 2 - place;
   if(StringGetCharacter(text, place) != 46 || digits < 1 || digits > 9)
      return(-1);
   int fraction = CsNumberAt(text, place + 1, digits);
   if(fraction < 0)
      return(-1);
   for(int i = digits; i < 3; i++)
      fraction *= 10;
   for(int i = 3; i < digits; i++)
      fraction /= 10;
   return(fraction);
  }

// Whether the signs between the numbers are where they belong: 2024-05-01T12:00:01
bool CsHasInstantSigns(const string text)
  {
   return(StringLen(text) >= 20 && StringGetCharacter(text, 4) == 45 && StringGetCharacter(text, 7) == 45
          && StringGetCharacter(text, 10) == 84 && StringGetCharacter(text, 13) == 58
          && StringGetCharacter(text, 16) == 58);
  }

// Read an instant. False, and the value as it was, for what is none; a leap second is none here.
bool CsReadInstant(const string text, long &milliseconds)
  {
   if(!CsHasInstantSigns(text))
      return(false);
   int year = CsNumberAt(text, 0, 4), month = CsNumberAt(text, 5, 2), day = CsNumberAt(text, 8, 2);
   int hour = CsNumberAt(text, 11, 2), minute = CsNumberAt(text, 14, 2), second = CsNumberAt(text, 17, 2);
   int fraction = CsFractionAt(text, 19);
   if(year < 1970 || month < 1 || month > 12 || day < 1 || day > CsDaysInMonth(year, month))
      return(false);
   if(hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || fraction < 0)
      return(false);
   milliseconds = CsDaysOf(year, month, day) * CS_DAY_MS + hour * 3600000 + minute * 60000 + second * 1000 + fraction;
   return(true);
  }

// A number with zeros before it.
string CsPadded(const long number, const int digits)
  {
   string text = IntegerToString(number);
   while(StringLen(text) < digits)
      text = "0" + text;
   return(text);
  }

// The date of a day since 1970 (the same source: civil_from_days).
string CsDateText(const long days)
  {
   long shifted = days + 719468;
   long era = shifted / 146097;
   long day_of_era = shifted - era * 146097;
   long year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
   long day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
   long from_march = (5 * day_of_year + 2) / 153;
   long day = day_of_year - (153 * from_march + 2) / 5 + 1;
   long month = from_march < 10 ? from_march + 3 : from_march - 9;
   long year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
   return(CsPadded(year, 4) + "-" + CsPadded(month, 2) + "-" + CsPadded(day, 2));
  }

// An instant as the desk reads it; milliseconds since 1970, not before.
string CsInstantText(const long milliseconds)
  {
   long rest = milliseconds % CS_DAY_MS;
   return(CsDateText(milliseconds / CS_DAY_MS) + "T" + CsPadded(rest / 3600000, 2) + ":"
          + CsPadded(rest / 60000 % 60, 2) + ":" + CsPadded(rest / 1000 % 60, 2) + "." + CsPadded(rest % 1000, 3) + "Z");
  }

#endif
