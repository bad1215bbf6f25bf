// Texts from bytes: UTF-8 (RFC 3629) that came from elsewhere is looked at before anything is made of it.
//
// CharArrayToString would make something of any bytes; what two sides make of the same wrong bytes may differ.
#ifndef COUNTERSIGN_UTF8_MQH
#define COUNTERSIGN_UTF8_MQH

#include "Bytes.mqh"

// How many bytes a character has that begins with this one; 0 where none does.
int CsUtf8Length(const int lead)
  {
   if(lead < 0x80)
      return(1);
   if(lead >= 0xc2 && lead <= 0xdf)
      return(2);
   if(lead >= 0xe0 && lead <= 0xef)
      return(3);
   if(lead >= 0xf0 && lead <= 0xf4)
      return(4);
   return(0);
  }

// The least and the most the second byte may be (RFC 3629, section 4): no longer spelling than needed, no surrogate,
// nothing above U+10FFFF.
bool CsUtf8Second(const int lead, const int second)
  {
   int least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
   int most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
   return(second >= least && second <= most);
  }

bool CsIsUtf8(const uchar &bytes[])
  {
   int size = ArraySize(bytes);
   int place = 0;
   while(place < size)
     {
      int lead = bytes[place];
      int length = CsUtf8Length(lead);
      if(length == 0 || place + length > size)
         return(false);
      if(length > 1 && !CsUtf8Second(lead, bytes[place + 1]))
         return(false);
      for(int i = 2; i < length; i++)
         if(((int)bytes[place + i] & 0xc0) != 0x80)
            return(false);
      place += length;
     }
   return(true);
  }

// The character at a place of bytes that are UTF-8, as a code point; the place moves behind it.
uint CsUtf8Point(const uchar &bytes[], int &place)
  {
   uint lead = bytes[place];
   int length = CsUtf8Length((int)lead);
   uint point = length == 1 ? lead : length == 2 ? lead & 31 : length == 3 ? lead & 15 : lead & 7;
   for(int i = 1; i < length; i++)
      point = (point << 6) | ((uint)bytes[place + i] & 63);
   place += length;
   return(point);
  }

// A text of one character: one or two units of UTF-16.
string CsPointText(const uint point)
  {
   if(point < 0x10000)
      return(ShortToString((ushort)point));
   uint rest = point - 0x10000;
   return(ShortToString((ushort)(0xd800 + (rest >> 10))) + ShortToString((ushort)(0xdc00 + (rest & 1023))));
  }

// The text that bytes are. False, and no text, for what is not UTF-8 or has a zero in it, where a text would end.
bool CsFromUtf8(const uchar &bytes[], string &text)
  {
   text = "";
   if(!CsIsUtf8(bytes))
      return(false);
   int size = ArraySize(bytes);
   int place = 0;
   string read = "";
   while(place < size)
     {
      uint point = CsUtf8Point(bytes, place);
      if(point == 0)
         return(false);
      read += CsPointText(point);
     }
   text = read;
   return(true);
  }

#endif
