// Poly1305, an authenticator for one message a key (RFC 8439, section 2.5).
//
// Numbers of 130 bits are five limbs of 26 bits, each in an ulong: products and their sums fit without a carry
// between them. Which instructions run never depends on the key or the text, only on the text's length.
#ifndef COUNTERSIGN_POLY1305_MQH
#define COUNTERSIGN_POLY1305_MQH

#define CS_LIMB_MASK 0x3ffffff

// Four bytes as a number, the smallest first.
uint CsLittleEndian(const uchar &bytes[], const int from)
  {
   return((uint)bytes[from] | ((uint)bytes[from + 1] << 8) | ((uint)bytes[from + 2] << 16)
          | ((uint)bytes[from + 3] << 24));
  }

// Seventeen bytes, the smallest first, as five limbs.
void CsLimbs(const uchar &bytes[], ulong &limbs[])
  {
   limbs[0] = (ulong)CsLittleEndian(bytes, 0) & CS_LIMB_MASK;
   limbs[1] = ((ulong)CsLittleEndian(bytes, 3) >> 2) & CS_LIMB_MASK;
   limbs[2] = ((ulong)CsLittleEndian(bytes, 6) >> 4) & CS_LIMB_MASK;
   limbs[3] = ((ulong)CsLittleEndian(bytes, 9) >> 6) & CS_LIMB_MASK;
   limbs[4] = ((ulong)CsLittleEndian(bytes, 12) >> 8) | ((ulong)bytes[16] << 24);
  }

// Limbs of 26 bits again. What runs over 2^130 comes back as five times as much, for 2^130 = 5 modulo 2^130 - 5.
void CsCarry(ulong &limbs[])
  {
   ulong carry = 0;
   for(int i = 0; i < 5; i++)
     {
      limbs[i] += carry;
      carry = limbs[i] >> 26;
      limbs[i] = limbs[i] & CS_LIMB_MASK;
     }
   limbs[0] += carry * 5;
  }

// The multiplier: the first half of the key, clamped (RFC 8439, section 2.5.1).
void CsPoly1305Multiplier(const uchar &key[], ulong &multiplier[])
  {
   uchar bytes[17];
   for(int i = 0; i < 16; i++)
     {
      uint kept = (i % 4 == 3) ? 15 : ((i % 4 == 0 && i > 0) ? 252 : 255);
      bytes[i] = (uchar)((uint)key[i] & kept);
     }
   bytes[16] = 0;
   CsLimbs(bytes, multiplier);
  }

// Multiply modulo 2^130 - 5. A limb is below 2^26 and a little, so five products with a factor of 5 stay below 2^62.
void CsMultiply(ulong &sum[], const ulong &multiplier[])
  {
   ulong product[5];
   for(int k = 0; k < 5; k++)
     {
      product[k] = 0;
      for(int i = 0; i < 5; i++)
        {
         if(i <= k)
            product[k] += sum[i] * multiplier[k - i];
         else
            product[k] += sum[i] * (multiplier[k - i + 5] * 5);
        }
     }
   CsCarry(product);
   // What came back into the lowest limb may be more than 26 bits.
   product[1] += product[0] >> 26;
   product[0] = product[0] & CS_LIMB_MASK;
   for(int i = 0; i < 5; i++)
      sum[i] = product[i];
  }

// Add up to 16 bytes of the message with a bit behind them, then multiply.
void CsPoly1305Block(const uchar &message[], const int from, const int count, const ulong &multiplier[], ulong &sum[])
  {
   uchar bytes[17];
   for(int i = 0; i < 17; i++)
      bytes[i] = (i < count) ? message[from + i] : (uchar)0;
   bytes[count] = 1;
   ulong block[5];
   CsLimbs(bytes, block);
   for(int i = 0; i < 5; i++)
      sum[i] += block[i];
   CsMultiply(sum, multiplier);
  }

// The one number below 2^130 - 5. Both candidates are computed and one is masked out: no branch tells which.
void CsReduce(ulong &sum[])
  {
   CsCarry(sum);
   CsCarry(sum);
   ulong less[5];
   ulong carry = 5;
   for(int i = 0; i < 5; i++)
     {
      less[i] = sum[i] + carry;
      carry = less[i] >> 26;
      less[i] = less[i] & CS_LIMB_MASK;
     }
   ulong take = (ulong)0 - carry;
   for(int i = 0; i < 5; i++)
      sum[i] = (sum[i] & ~take) | (less[i] & take);
  }

// The sum plus the second half of the key, modulo 2^128, as 16 bytes, the smallest first.
void CsPoly1305Tag(const ulong &sum[], const uchar &key[], uchar &tag[])
  {
   ulong carry = 0;
   ArrayResize(tag, 16);
   for(int i = 0; i < 4; i++)
     {
      // The cast cuts to 32 bits; a mask of eight f would be a negative number to a compiler that reads it as int.
      uint bits = (uint)((sum[i] >> (6 * i)) | (sum[i + 1] << (26 - 6 * i)));
      ulong word = (ulong)bits + (ulong)CsLittleEndian(key, 16 + 4 * i) + carry;
      carry = word >> 32;
      for(int j = 0; j < 4; j++)
         tag[4 * i + j] = (uchar)((word >> (8 * j)) & 255);
     }
  }

// The 16 bytes of the tag. The key has 32 bytes and is used for this message alone.
void CsPoly1305(const uchar &key[], const uchar &message[], uchar &tag[])
  {
   ulong multiplier[5], sum[5];
   CsPoly1305Multiplier(key, multiplier);
   ArrayInitialize(sum, 0);
   int size = ArraySize(message);
   for(int from = 0; from < size; from += 16)
      CsPoly1305Block(message, from, (size - from < 16) ? size - from : 16, multiplier, sum);
   CsReduce(sum);
   CsPoly1305Tag(sum, key, tag);
  }

#endif
