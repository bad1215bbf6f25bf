// HKDF with SHA-256 (RFC 5869): keys for one purpose each, from one secret.
#ifndef COUNTERSIGN_HKDF_MQH
#define COUNTERSIGN_HKDF_MQH

#include "Bytes.mqh"
#include "Hmac.mqh"

// RFC 5869, section 2.3: the counter is one byte, so there are at most 255 blocks of 32 bytes.
#define CS_HKDF_LONGEST 8160

// Extract, RFC 5869, section 2.2. No salt is a salt of zeros, which HMAC makes of an empty key by itself.
void CsHkdfExtract(const uchar &salt[], const uchar &secret[], uchar &inner[])
  {
   CsHmacSha256(salt, secret, inner);
  }

// Expand, RFC 5869, section 2.3: T(n) = HMAC(inner key, T(n-1) | info | n).
void CsHkdfExpand(const uchar &inner[], const uchar &info[], const int length, uchar &key[])
  {
   uchar block[], text[];
   ArrayResize(key, length);
   int written = 0;
   for(int n = 1; written < length; n++)
     {
      ArrayResize(text, 0);
      CsAppend(text, block);
      CsAppend(text, info);
      ArrayResize(text, ArraySize(text) + 1);
      text[ArraySize(text) - 1] = (uchar)n;
      CsHmacSha256(inner, text, block);
      for(int i = 0; i < 32 && written < length; i++)
        {
         key[written] = block[i];
         written++;
        }
     }
  }

// A key of that many bytes. False, and no key, for a length that HKDF does not give.
bool CsHkdfSha256(const uchar &secret[], const uchar &salt[], const uchar &info[], const int length, uchar &key[])
  {
   if(length < 1 || length > CS_HKDF_LONGEST)
     {
      ArrayResize(key, 0);
      return(false);
     }
   uchar inner[];
   CsHkdfExtract(salt, secret, inner);
   CsHkdfExpand(inner, info, length, key);
   return(true);
  }

#endif
