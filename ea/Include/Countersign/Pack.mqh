// Numbers and texts one after the other as bytes, for files: eight bytes a number, the greatest first; a text is its
// length in bytes and its UTF-8.
//
// Reading beyond the end, or what is no text, makes the whole reading bad: it is looked at once, at the end.
#ifndef COUNTERSIGN_PACK_MQH
#define COUNTERSIGN_PACK_MQH

#include "Utf8.mqh"

#define CS_LONGEST_PACKED_TEXT 1024

struct CsPacked
  {
   uchar bytes[];
   int   place;
   bool  is_good;
  };

void CsPutLong(uchar &bytes[], const long value)
  {
   int size = ArraySize(bytes);
   ArrayResize(bytes, size + 8);
   for(int i = 0; i < 8; i++)
      bytes[size + i] = (uchar)(((ulong)value >> (56 - 8 * i)) & 255);
  }

void CsPutText(uchar &bytes[], const string text)
  {
   uchar written[];
   CsUtf8(text, written);
   CsPutLong(bytes, ArraySize(written));
   CsAppend(bytes, written);
  }

// Begin to read.
void CsUnpack(CsPacked &packed, const uchar &bytes[])
  {
   ArrayResize(packed.bytes, 0);
   ArrayCopy(packed.bytes, bytes);
   packed.place = 0;
   packed.is_good = true;
  }

long CsTakeLong(CsPacked &packed)
  {
   if(!packed.is_good || packed.place + 8 > ArraySize(packed.bytes))
     {
      packed.is_good = false;
      return(0);
     }
   ulong value = 0;
   for(int i = 0; i < 8; i++)
      value = (value << 8) | (ulong)packed.bytes[packed.place + i];
   packed.place += 8;
   return((long)value);
  }

string CsTakeText(CsPacked &packed)
  {
   string text = "";
   long size = CsTakeLong(packed);
   if(!packed.is_good || size < 0 || size > CS_LONGEST_PACKED_TEXT || packed.place + size > ArraySize(packed.bytes))
     {
      packed.is_good = false;
      return(text);
     }
   uchar written[];
   ArrayCopy(written, packed.bytes, 0, packed.place, (int)size);
   packed.place += (int)size;
   packed.is_good = CsFromUtf8(written, text);
   return(text);
  }

// Whether all was read, and nothing is left.
bool CsIsUnpacked(const CsPacked &packed)
  {
   return(packed.is_good && packed.place == ArraySize(packed.bytes));
  }

#endif
