// ChaCha20-Poly1305, the cipher that keeps what it carries secret and unchanged (RFC 8439).
//
// A key and a nonce are used for one message, ever: RFC 8439, section 4. MQL5 has no source of good random numbers,
// so nonces have to be counted, and what was counted has to survive a restart; that is the caller's part.
#ifndef COUNTERSIGN_CHACHA20POLY1305_MQH
#define COUNTERSIGN_CHACHA20POLY1305_MQH

#include "Bytes.mqh"
#include "Poly1305.mqh"

#define CS_KEY_SIZE 32
#define CS_NONCE_SIZE 12
#define CS_TAG_SIZE 16

// RFC 8439, section 2.3: "expand 32-byte k".
const uint CS_CHACHA_CONSTANTS[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

uint CsRotateLeft(const uint word, const int bits)
  {
   return((word << bits) | (word >> (32 - bits)));
  }

// RFC 8439, section 2.1.
void CsQuarterRound(uint &words[], const int a, const int b, const int c, const int d)
  {
   words[a] += words[b];
   words[d] = CsRotateLeft(words[d] ^ words[a], 16);
   words[c] += words[d];
   words[b] = CsRotateLeft(words[b] ^ words[c], 12);
   words[a] += words[b];
   words[d] = CsRotateLeft(words[d] ^ words[a], 8);
   words[c] += words[d];
   words[b] = CsRotateLeft(words[b] ^ words[c], 7);
  }

// The first state of a block, RFC 8439, section 2.3.
void CsChaChaStart(const uchar &key[], const uint counter, const uchar &nonce[], uint &words[])
  {
   for(int i = 0; i < 4; i++)
      words[i] = CS_CHACHA_CONSTANTS[i];
   for(int i = 0; i < 8; i++)
      words[4 + i] = CsLittleEndian(key, 4 * i);
   words[12] = counter;
   for(int i = 0; i < 3; i++)
      words[13 + i] = CsLittleEndian(nonce, 4 * i);
  }

// The 64 bytes of one block of the stream, RFC 8439, section 2.3.1.
void CsChaChaBlock(const uchar &key[], const uint counter, const uchar &nonce[], uchar &stream[])
  {
   uint start[16], words[16];
   CsChaChaStart(key, counter, nonce, start);
   CsChaChaStart(key, counter, nonce, words);
   for(int i = 0; i < 10; i++)
     {
      CsQuarterRound(words, 0, 4, 8, 12);
      CsQuarterRound(words, 1, 5, 9, 13);
      CsQuarterRound(words, 2, 6, 10, 14);
      CsQuarterRound(words, 3, 7, 11, 15);
      CsQuarterRound(words, 0, 5, 10, 15);
      CsQuarterRound(words, 1, 6, 11, 12);
      CsQuarterRound(words, 2, 7, 8, 13);
      CsQuarterRound(words, 3, 4, 9, 14);
     }
   for(int i = 0; i < 64; i++)
      stream[i] = (uchar)(((words[i / 4] + start[i / 4]) >> (8 * (i % 4))) & 255);
  }

// Encrypt or decrypt the first bytes of an array, RFC 8439, section 2.4. The output has to be that long already.
// The counter cannot run over: an array of MQL5 has less than 2^31 bytes, which are 2^25 blocks.
void CsChaCha20(const uchar &key[], const uint counter, const uchar &nonce[], const uchar &source[], const int size,
                uchar &output[])
  {
   uchar stream[64];
   for(int i = 0; i < size; i++)
     {
      if(i % 64 == 0)
         CsChaChaBlock(key, counter + (uint)(i / 64), nonce, stream);
      output[i] = (uchar)((uint)source[i] ^ (uint)stream[i % 64]);
     }
  }

// Fill up with zeros to whole blocks of 16 bytes: pad16 of RFC 8439, section 2.8.1.
void CsPadTo16(uchar &bytes[])
  {
   while(ArraySize(bytes) % 16 != 0)
     {
      ArrayResize(bytes, ArraySize(bytes) + 1);
      bytes[ArraySize(bytes) - 1] = 0;
     }
  }

// A length as eight bytes, the smallest first.
void CsAppendLength(uchar &bytes[], const int length)
  {
   int size = ArraySize(bytes);
   ArrayResize(bytes, size + 8);
   for(int i = 0; i < 8; i++)
      bytes[size + i] = (uchar)(((ulong)length >> (8 * i)) & 255);
  }

// The tag over what is only authenticated and what is encrypted, RFC 8439, section 2.8. Its key is the first half of
// the stream's block 0 (section 2.6); the text itself begins with block 1.
void CsAeadTag(const uchar &key[], const uchar &nonce[], const uchar &aad[], const uchar &cipher[], const int size,
               uchar &tag[])
  {
   uchar stream[64], once[32], text[];
   CsChaChaBlock(key, 0, nonce, stream);
   for(int i = 0; i < 32; i++)
      once[i] = stream[i];
   CsAppend(text, aad);
   CsPadTo16(text);
   if(size > 0)
      ArrayCopy(text, cipher, ArraySize(text), 0, size);
   CsPadTo16(text);
   CsAppendLength(text, ArraySize(aad));
   CsAppendLength(text, size);
   CsPoly1305(once, text, tag);
  }

// Encrypt: the sealed text is the cipher text with its tag behind it. False for a key or nonce of a wrong size.
bool CsSeal(const uchar &key[], const uchar &nonce[], const uchar &aad[], const uchar &plain[], uchar &sealed[])
  {
   ArrayResize(sealed, 0);
   if(ArraySize(key) != CS_KEY_SIZE || ArraySize(nonce) != CS_NONCE_SIZE)
      return(false);
   int size = ArraySize(plain);
   uchar tag[];
   ArrayResize(sealed, size);
   CsChaCha20(key, 1, nonce, plain, size, sealed);
   CsAeadTag(key, nonce, aad, sealed, size, tag);
   CsAppend(sealed, tag);
   return(true);
  }

// Decrypt. False, and not one byte of text, when anything is not as it was sealed: the tag is looked at first.
bool CsOpen(const uchar &key[], const uchar &nonce[], const uchar &aad[], const uchar &sealed[], uchar &plain[])
  {
   ArrayResize(plain, 0);
   int size = ArraySize(sealed) - CS_TAG_SIZE;
   if(ArraySize(key) != CS_KEY_SIZE || ArraySize(nonce) != CS_NONCE_SIZE || size < 0)
      return(false);
   uchar right[], given[];
   CsAeadTag(key, nonce, aad, sealed, size, right);
   ArrayCopy(given, sealed, 0, size, CS_TAG_SIZE);
   if(!CsSameBytes(right, given))
      return(false);
   ArrayResize(plain, size);
   CsChaCha20(key, 1, nonce, sealed, size, plain);
   return(true);
  }

#endif
