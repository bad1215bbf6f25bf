// SHA-256 (FIPS 180-4), in one piece or fed bit by bit.
//
// CsSha256Begin, CsSha256Add as often as needed, CsSha256End; or CsSha256 for an array that is there already.
#ifndef COUNTERSIGN_SHA256_MQH
#define COUNTERSIGN_SHA256_MQH

// FIPS 180-4, section 4.2.2: the fractions of the cube roots of the first 64 primes.
const uint CS_SHA256_K[64] =
  {
   0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
   0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
   0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
   0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
   0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
   0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
   0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
   0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
  };

// FIPS 180-4, section 5.3.3: the fractions of the square roots of the first eight primes.
const uint CS_SHA256_START[8] =
  {
   0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  };

// A hash on its way.
struct CsSha256State
  {
   uint  hash[8];
   uchar block[64];
   int   used;        // bytes that wait in the block
   ulong total;       // bytes taken in so far
  };

// FIPS 180-4, section 3.2.
uint CsRotateRight(const uint word, const int bits)
  {
   return((word >> bits) | (word << (32 - bits)));
  }

// The message schedule, FIPS 180-4, section 6.2.2, step 1.
void CsSha256Schedule(const uchar &block[], uint &schedule[])
  {
   for(int i = 0; i < 16; i++)
      schedule[i] = ((uint)block[4 * i] << 24) | ((uint)block[4 * i + 1] << 16)
                    | ((uint)block[4 * i + 2] << 8) | (uint)block[4 * i + 3];
   for(int i = 16; i < 64; i++)
     {
      uint early = schedule[i - 15];
      uint late = schedule[i - 2];
      uint sigma0 = CsRotateRight(early, 7) ^ CsRotateRight(early, 18) ^ (early >> 3);
      uint sigma1 = CsRotateRight(late, 17) ^ CsRotateRight(late, 19) ^ (late >> 10);
      schedule[i] = sigma1 + schedule[i - 7] + sigma0 + schedule[i - 16];
     }
  }

// One block of 64 bytes into the hash, FIPS 180-4, section 6.2.2, steps 2 to 4.
void CsSha256Block(CsSha256State &state)
  {
   uint schedule[64];
   CsSha256Schedule(state.block, schedule);
   uint a = state.hash[0], b = state.hash[1], c = state.hash[2], d = state.hash[3];
   uint e = state.hash[4], f = state.hash[5], g = state.hash[6], h = state.hash[7];
   for(int i = 0; i < 64; i++)
     {
      uint choice = (e & f) ^ (~e & g);
      uint majority = (a & b) ^ (a & c) ^ (b & c);
      uint sum1 = CsRotateRight(e, 6) ^ CsRotateRight(e, 11) ^ CsRotateRight(e, 25);
      uint sum0 = CsRotateRight(a, 2) ^ CsRotateRight(a, 13) ^ CsRotateRight(a, 22);
      uint first = h + sum1 + choice + CS_SHA256_K[i] + schedule[i];
      uint second = sum0 + majority;
      h = g;
      g = f;
      f = e;
      e = d + first;
      d = c;
      c = b;
      b = a;
      a = first + second;
     }
   state.hash[0] += a;
   state.hash[1] += b;
   state.hash[2] += c;
   state.hash[3] += d;
   state.hash[4] += e;
   state.hash[5] += f;
   state.hash[6] += g;
   state.hash[7] += h;
  }

// Begin a hash.
void CsSha256Begin(CsSha256State &state)
  {
   for(int i = 0; i < 8; i++)
      state.hash[i] = CS_SHA256_START[i];
   state.used = 0;
   state.total = 0;
  }

// Take in one byte.
void CsSha256Byte(CsSha256State &state, const uchar value)
  {
   state.block[state.used] = value;
   state.used++;
   if(state.used == 64)
     {
      CsSha256Block(state);
      state.used = 0;
     }
  }

// Take in the bytes of an array.
void CsSha256Add(CsSha256State &state, const uchar &bytes[])
  {
   int size = ArraySize(bytes);
   for(int i = 0; i < size; i++)
      CsSha256Byte(state, bytes[i]);
   state.total += (ulong)size;
  }

// Pad (FIPS 180-4, section 5.1.1) and write the 32 bytes of the digest. The state has to begin anew afterwards.
void CsSha256End(CsSha256State &state, uchar &digest[])
  {
   ulong bits = state.total * 8;
   CsSha256Byte(state, 0x80);
   while(state.used != 56)
      CsSha256Byte(state, 0);
   for(int i = 7; i >= 0; i--)
      CsSha256Byte(state, (uchar)((bits >> (8 * i)) & 255));
   ArrayResize(digest, 32);
   for(int i = 0; i < 32; i++)
      digest[i] = (uchar)((state.hash[i / 4] >> (24 - 8 * (i % 4))) & 255);
  }

// The digest of an array; it may be written over the array itself.
void CsSha256(const uchar &bytes[], uchar &digest[])
  {
   CsSha256State state;
   CsSha256Begin(state);
   CsSha256Add(state, bytes);
   CsSha256End(state, digest);
  }

#endif
