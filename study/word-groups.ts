/**
 * Interchangeable words of one part of speech: the positive ones speak for an answer, the negative
 * ones against it.
 */
export interface WordGroup {
  readonly positive: readonly string[];
  readonly negative: readonly string[];
}

/**
 * Words of AFINN-165 that reviews of films use, by part of speech, so that replacements stay mostly
 * grammatical. Sorted by hand: suffixes say too little ("awful" and "handful"). Left out is what
 * has several meanings ("like", "kind", "fun") or names a subject ("war").
 */
export const wordGroups = {
  quality: {
    positive: words(`
      good great funny beautiful excellent nice wonderful perfect entertaining amazing brilliant hilarious enjoyable fantastic superb
      powerful clever exciting effective solid impressive awesome charming terrific lovely outstanding stunning fascinating likable creative
      attractive remarkable delightful humorous magnificent pleasant appealing fabulous breathtaking marvelous poignant gripping
      lovable meaningful competent imaginative inspiring sophisticated flawless splendid heroic innovative glorious adorable riveting
      thoughtful slick elegant lively sincere polished uplifting heartfelt vibrant heartwarming exquisite engrossing mesmerizing
      inspirational dazzling delicious energetic astounding classy intricate rewarding likeable playful irresistible stimulating
      exhilarating joyous graceful seamless intelligent sweet strong interesting heavenly`),
    negative: words(`
      bad poor boring awful stupid terrible horrible annoying ridiculous dull weak lame dumb pointless pathetic disappointing painful
      confusing unfunny crappy dreadful irritating depressing embarrassing disgusting lousy offensive atrocious awkward ugly nasty obnoxious
      ludicrous inept flawed mindless idiotic incoherent horrendous insulting useless worthless appalling uninspired sloppy childish
      unbearable horrid foul unpleasant meaningless hideous disjointed miserable rotten incomprehensible dreary incompetent
      unoriginal hopeless shaky misleading insipid vile disastrous repulsive unimaginative dismal feeble plodding vapid ghastly shameful
      murky chaotic infuriating distasteful uninvolving lethargic uneventful loathsome ineffective inexcusable unfocused dubious
      unattractive foolish inappropriate frustrating overwrought woeful revolting obscene`),
  },
  feeling: {
    positive: words(`
      happy glad impressed amazed pleased excited proud thrilled satisfied delighted grateful fascinated amused captivated thankful
      enchanted relieved hopeful optimistic`),
    negative: words(`
      disappointed bored angry confused upset annoyed embarrassed ashamed disgusted frustrated depressed appalled offended irritated
      insulted horrified unhappy unsatisfied puzzled shocked`),
  },
  manner: {
    positive: words(`
      perfectly beautifully wonderfully effectively successfully carefully expertly vividly effortlessly flawlessly seamlessly charmingly
      elegantly delightfully richly terrifically refreshingly`),
    negative: words("poorly badly terribly miserably stupidly brutally severely wrongly bitterly desperately madly"),
  },
  verdict: {
    positive: words(
      "masterpiece gem delight triumph treasure joy pleasure success winner marvel miracle blessing highlight",
    ),
    negative: words(`
      disaster mess failure disappointment travesty disgrace fiasco catastrophe stinker dud flop misfire downer mistake shame wreck
      headache embarrassment tragedy`),
  },
  trait: {
    positive: words(`
      charm brilliance excitement warmth charisma happiness excellence sincerity integrity compassion goodness talent humor dignity courage
      strength beauty`),
    negative: words(`
      stupidity idiocy incompetence mediocrity ineptitude misery ignorance cruelty greed cynicism nonsense madness selfishness badness
      insanity crap despair`),
  },
  past: {
    positive: words("loved liked enjoyed admired adored appreciated praised applauded"),
    negative: words("hated disliked ruined destroyed wasted regretted criticized mocked condemned"),
  },
  verb: {
    positive: words("enjoy recommend appreciate admire adore applaud cherish celebrate commend"),
    negative: words("hate ruin destroy loathe criticize dislike condemn mock"),
  },
} as const satisfies Record<string, WordGroup>;

export type GroupName = keyof typeof wordGroups;

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
