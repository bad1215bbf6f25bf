// How much of an order is sent: down to what its risk allows, in whole steps, spread over its targets. Never up.
#ifndef COUNTERSIGN_VOLUME_MQH
#define COUNTERSIGN_VOLUME_MQH

#include "Decimal.mqh"

// The desk's number for a leg of an order; the sixteenth marks a close there.
#define CS_MOST_LEGS 15
#define CS_LEG_SHIFT 44

// The number at the trade server of one leg of an order.
long CsLegMagic(const long magic, const int leg)
  {
   return(magic + ((long)leg << CS_LEG_SHIFT));
  }

// Which leg of the order with this number another one is; -1 where it is none of it.
int CsLegOf(const long magic, const long other)
  {
   long apart = other - magic;
   long leg = apart >> CS_LEG_SHIFT;
   return(apart >= 0 && leg < CS_MOST_LEGS && (leg << CS_LEG_SHIFT) == apart ? (int)leg : -1);
  }

// What may be sent so that no more than risk is lost at the stop, where one lot would lose so much: down to whole
// steps. Without a loss to be reckoned with, the volume itself.
double CsWithinRisk(const double volume, const double risk, const double loss_of_one_lot, const double step)
  {
   if(loss_of_one_lot <= 0.0 || volume * loss_of_one_lot <= risk)
      return(CsFloorToStep(volume, step));
   return(CsFloorToStep(MathMin(volume, risk / loss_of_one_lot), step));
  }

// Why a volume cannot be traded, or nothing. held is what is open and waiting in the same direction already; a limit of
// 0 is none.
string CsVolumeRefusal(const double volume, const double least, const double most, const double limit,
                       const double held, const double step)
  {
   if(volume <= 0.0 || CsIsMore(least, volume, step))
      return("volume_below_minimum");
   if(CsIsMore(volume, most, step))
      return("volume_above_maximum");
   if(limit > 0.0 && CsIsMore(held + volume, limit, step))
      return("volume_limit");
   return("");
  }

// How many of the first targets get at least the least each, at least one.
int CsPortionCount(const long steps, const int targets, const double least, const double step)
  {
   int count = targets;
   while(count > 1 && CsIsMore(least, (double)(steps / count) * step, step))
      count--;
   return(count);
  }

// Spread a volume of whole steps over targets, one step at a time from the first, as the desk does (maths.portions);
// over as many of the first as get enough. How many there are: one without any target.
int CsPortions(const double volume, const int targets, const double least, const double step, double &portions[])
  {
   long steps = CsWholeSteps(volume, step);
   int count = CsPortionCount(steps, targets < 1 ? 1 : targets > CS_MOST_LEGS ? CS_MOST_LEGS : targets, least, step);
   ArrayResize(portions, count);
   for(int i = 0; i < count; i++)
     {
      long share = steps / count + (i < steps % count ? 1 : 0);
      portions[i] = NormalizeDouble((double)share * step, CsPlaces(step));
     }
   return(count);
  }

#endif
