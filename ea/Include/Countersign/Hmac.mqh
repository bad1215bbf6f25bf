// HMAC-SHA256 (RFC 2104, tested against RFC 4231).
#ifndef COUNTERSIGN_HMAC_MQH
#define COUNTERSIGN_HMAC_MQH

#include "Sha256.mqh"

// The key as a whole block: hashed if it is longer (RFC 2104, section 2), then filled up with zeros.
void CsHmacBlock(const uchar &key[], const uchar mask, uchar &block[])
  {
   uchar used[];
   if(ArraySize(key) > 64)
      CsSha256(key, used);
   else
      ArrayCopy(used, key);
   int size = ArraySize(used);
   ArrayResize(block, 64);
   for(int i = 0; i < 64; i++)
      block[i] = (uchar)((i < size ? (int)used[i] : 0) ^ (int)mask);
  }

// The 32 bytes of HMAC-SHA256. The code is written last, so it may be written over the key or the message.
void CsHmacSha256(const uchar &key[], const uchar &message[], uchar &code[])
  {
   uchar inner[], outer[], digest[];
   CsHmacBlock(key, 0x36, inner);
   CsHmacBlock(key, 0x5c, outer);
   CsSha256State state;
   CsSha256Begin(state);
   CsSha256Add(state, inner);
   CsSha256Add(state, message);
   CsSha256End(state, digest);
   CsSha256Begin(state);
   CsSha256Add(state, outer);
   CsSha256Add(state, digest);
   CsSha256End(state, code);
  }

#endif
