// SPDX-License-Identifier: MIT
#include "words.hpp"

namespace scoring {

// Written for this project. A star was put where every word that begins so rings alike (not at `harm`, for harmony; `pain`,
// for paint). Words of two meanings (like, kind, fine, right, well, patient, blue), and those that tell of weather, light and
// places more than of feelings (storm, dark, cold, strange), were left out.
std::string_view const pleasant_words = R"(
  accomplish* admir* adorable adoration adore* affection* agreed agreement agrees alive amaz* amus* appreciat*
  approv* astonishing attractive award* awesome
  beamed beaming beaut* belonged belonging beloved benefi* best better bless* bliss* bloom* blossom* bold* brave*
  breathtaking bright brighter brightest brightly brilliant*
  calm* care cared caring celebrat* champion* charm* cheer* cherish* clever* comfort* compassion* confidence
  confident* congratulat* consol* contented cosy courage* creative creativity cured
  dazzl* dear dearest dearly delicious* delight* dream* eager* ease easier ecstatic elegan* embrac* encourag*
  enchant* energetic enjoy* enrich* enthusias* excellent* excit* exhilarat* exquisite
  fairness faith* fame fascinat* favorite favourite festive flourish* fond* forgave forgiv* fortunate* freed freedom
  friend* fulfil* fun funny gain* generous* gentle* gently gift* giggl* glad* glorious* glory glow* good goodness
  graceful* gracious* grateful* gratitude great greatest grin grinned grinning
  happi* happy harmon* heal healed healing health* heartwarming heaven* hero heroes heroic honest* honor* honour*
  hope hoped hopeful* hopes hoping hug hugged hugging hugs humor* humour*
  ideal* impress* improved improvement* improves incredible inspir* intelligent invigorat* jok* joy*
  kindness kiss* laugh* lively lovable love loved lovely lover* loves loving* loyal* luck luckily lucky
  magical magnificen* marvel* memorable merr* miracle* miraculous* nice* noble optimis* overjoyed
  paradise passion* patience patiently peace* perfect* playful* pleasant* pleased pleasure* praise* precious pretty
  pride priceless prosper* proud* radian* reassur* recover* refresh* rejoic* relief reliev* remarkabl* rescued
  respect* restored reunion* reunit* reward* rich richer
  safe safely safety satisf* saved saves saving seren* shine* shining shone smart smil* smooth* soothed soothing
  sparkl* spectacular* splend* strength* strong stronger stunning succeed* success* sunny sunshine support* surviv*
  sweet* talent* tender* terrific thank* thoughtful* thrill* thriv* tranquil* treasure* triumph* trust*
  unforgettable valuable vibrant victor* warm warmed warmer warming warmly warmth welcom* win winning wins won
  wisdom wise wonderful*
)";

std::string_view const unpleasant_words = R"(
  abandon* abus* accident* accus* ache* aching afraid aggress* agony alarmed alarming alas alone ambush* anger angrily
  angry anguish* annoy* anxi* argue* arguing argument* arrest* asham* attack* awful* awkward*
  bad badly bankrupt* betray* bitter* blam* bleak bled bleed* blood* bomb* bored boring bother* broke broken bruis*
  brutal* burden* buried cancer* careless* catastroph* chao* cheat* clums* collaps* complain* conflict* confus*
  corpse* coward* crash* cried cries crime* criminal* crisis cruel* crush* cry crying curse*
  danger* dead deadly death* deceiv* defeat* depress* desperat* despair* destroy* destruct* devastat* die died dies
  difficult* dirty disappear* disappoint* disast* disbelief disease* disgust* dismay* distress* disturb* doom* doubt*
  dread* drown* dull dying eerie embarrass* emptiness enem* envy evil exhaust*
  fail* faint* fear feared fearful fearing fears feud* fever fight fighting fights fled flee fleeing fool* forlorn
  forgotten fought fright* frown* frustrat* furious* fury ghastly gloom* greed* grief* griev* grim* guilt*
  harm harmed harmful harming harsh* hate* hatred haunt* heartbr* helpless* hopeless* horr* hostil* humiliat*
  hungry hurt* ignor* ill illness* impatien* injur* insult* jealous* kill* lament* liar lied lies lone* lose loses
  losing loss* lost mad mess messy miser* misfortun* mistak* misunderst* mock* mourn* murder*
  nasty nervous* nightmar* numb offend* ominous outrag* pain pained painful* pains panic* pathetic perish* pitiful
  poison* poor poverty problem* punish* quarrel* rage ragged raging ravag* regret* reject* resent* revenge rotten
  rotting rude* ruin* ruthless
  sad sadder saddened sadly sadness scar scared scars scary scold* scream* selfish* severe severely shame* shatter*
  shock* shout* shudder* sick* sinister* sob sobbed sobbing sorrow* sorry starv* stole stolen stress* struggl*
  stubborn* stuck suffer* suspicio* tear tears terribl* terrified terrify* terror* thief thieves threat* tired*
  torment* torn tortur* tragedy tragic* trap trapped trauma* trembl* trouble*
  ugly unable uncertain* uneas* unfair* unfortunate* unhapp* unpleasant* upset* vanish* victim* violen* war wars
  weak* weary weep* wept wicked worr* worse* worst worthless wound* wreck* wretched wrong*
)";

}  // namespace scoring
