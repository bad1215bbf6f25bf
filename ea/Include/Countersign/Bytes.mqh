// Bytes and their spellings: UTF-8, hex, base64url; comparison that tells nothing by its time.
//
// Names begin with Cs: an Expert Advisor includes files of many authors, and all share one name space.
// Outputs are resized here. Unless it says otherwise, an output must not be one of the inputs.
#ifndef COUNTERSIGN_BYTES_MQH
#define COUNTERSIGN_BYTES_MQH

// So many characters of a text. StringSubstr may take a length of 0 for all the rest, so it is never asked for none.
string CsPart(const string text, const int from, const int length)
  {
   return(length > 0 ? StringSubstr(text, from, length) : "");
  }

// The bytes of a text in UTF-8, and nothing after them.
// StringToCharArray adds a zero byte, which would be signed with the text, and it leaves an array that was longer as
// long as it was. So the array takes its length from the count that is answered, less the zero.
void CsUtf8(const string text, uchar &bytes[])
  {
   ArrayResize(bytes, 0);
   if(StringLen(text) == 0)
      return;
   int copied = StringToCharArray(text, bytes, 0, WHOLE_ARRAY, CP_UTF8);
   if(copied > 0 && bytes[copied - 1] == 0)
      copied--;
   ArrayResize(bytes, copied);
  }

// Lower-case hex, two digits a byte.
string CsToHex(const uchar &bytes[])
  {
   string digits = "0123456789abcdef";
   string text = "";
   int size = ArraySize(bytes);
   for(int i = 0; i < size; i++)
     {
      text += StringSubstr(digits, (int)bytes[i] >> 4, 1);
      text += StringSubstr(digits, (int)bytes[i] & 15, 1);
     }
   return(text);
  }

// What one hex digit is worth, or -1.
int CsHexDigit(const ushort character)
  {
   if(character >= 48 && character <= 57)
      return((int)character - 48);
   if(character >= 97 && character <= 102)
      return((int)character - 87);
   if(character >= 65 && character <= 70)
      return((int)character - 55);
   return(-1);
  }

// Read hex of either case. False, and no bytes, for anything else.
bool CsFromHex(const string text, uchar &bytes[])
  {
   ArrayResize(bytes, 0);
   int size = StringLen(text);
   if(size % 2 != 0)
      return(false);
   uchar read[];
   ArrayResize(read, size / 2);
   for(int i = 0; i < size / 2; i++)
     {
      int high = CsHexDigit(StringGetCharacter(text, 2 * i));
      int low = CsHexDigit(StringGetCharacter(text, 2 * i + 1));
      if(high < 0 || low < 0)
         return(false);
      read[i] = (uchar)(high * 16 + low);
     }
   ArrayCopy(bytes, read);
   return(true);
  }

// What one digit of base64url is worth (RFC 4648, section 5), or -1.
int CsBase64UrlDigit(const ushort character)
  {
   if(character >= 65 && character <= 90)
      return((int)character - 65);
   if(character >= 97 && character <= 122)
      return((int)character - 71);
   if(character >= 48 && character <= 57)
      return((int)character + 4);
   if(character == 45)
      return(62);
   if(character == 95)
      return(63);
   return(-1);
  }

// Read base64url without padding. False, and no bytes, for anything else.
// Left-over bits have to be zero (RFC 4648, section 3.5): a secret has one spelling.
bool CsFromBase64Url(const string text, uchar &bytes[])
  {
   ArrayResize(bytes, 0);
   int size = StringLen(text);
   if(size % 4 == 1)
      return(false);
   uchar read[];
   ArrayResize(read, size / 4 * 3 + (size % 4 == 0 ? 0 : size % 4 - 1));
   uint held = 0;
   int bits = 0;
   int place = 0;
   for(int i = 0; i < size; i++)
     {
      int digit = CsBase64UrlDigit(StringGetCharacter(text, i));
      if(digit < 0)
         return(false);
      held = (held << 6) | (uint)digit;
      bits += 6;
      if(bits >= 8)
        {
         bits -= 8;
         read[place] = (uchar)((held >> bits) & 255);
         place++;
         held = held & (((uint)1 << bits) - 1);
        }
     }
   if(held != 0)
      return(false);
   ArrayCopy(bytes, read);
   return(true);
  }

// Whether two arrays have the same bytes. Every byte is looked at, so that the time it takes does not say how many of
// a guessed signature were right; only the length, which everybody knows, is told.
bool CsSameBytes(const uchar &one[], const uchar &other[])
  {
   int size = ArraySize(one);
   if(size != ArraySize(other))
      return(false);
   uint difference = 0;
   for(int i = 0; i < size; i++)
      difference |= (uint)one[i] ^ (uint)other[i];
   return(difference == 0);
  }

// Put the bytes of one array after those of another.
void CsAppend(uchar &bytes[], const uchar &more[])
  {
   ArrayCopy(bytes, more, ArraySize(bytes));
  }

#endif
