// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/text/words.hpp>

using prefer::text::begins_with_words_of;
using prefer::text::inside_word;
using prefer::text::is_a_few_words;

namespace {

/// The places between two bytes at which a text can be cut, each shown as "|".
std::string cut_everywhere(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at != 0 && !inside_word(text, at)) out += '|';
    out += text[at];
  }
  return out;
}

}  // namespace

TEST_CASE("inside_word: a text is cut between words, and nowhere else", "[text][words]") {
  REQUIRE(cut_everywhere("The sky is.") == "The| |sky| |is|.");
  REQUIRE(cut_everywhere("user_12 i11") == "user_12| |i11");
  REQUIRE(cut_everywhere("can't e-mail 3.14") == "can't| |e-mail| |3.14");
  REQUIRE(cut_everywhere("a--b 'c'. -1") == "a|-|-|b| |'|c|'|.| |-|1");
  REQUIRE(cut_everywhere("Q:two") == "Q|:|two");
  REQUIRE(cut_everywhere("don\xE2\x80\x99t \xE2\x80\x9Cso\xE2\x80\x9D") ==
          "don\xE2\x80\x99t| |\xE2\x80\x9C|so|\xE2\x80\x9D");
}

TEST_CASE("inside_word: scripts with spaces have words, ideographs are words", "[text][words]") {
  REQUIRE(cut_everywhere("caf\xC3\xA9 \xD0\xB4\xD0\xB0") == "caf\xC3\xA9| |\xD0\xB4\xD0\xB0");
  REQUIRE(cut_everywhere("\xE4\xB8\xAD\xE5\x9B\xBD") == "\xE4\xB8\xAD|\xE5\x9B\xBD");
}

TEST_CASE("inside_word: a character of several code points is whole", "[text][words]") {
  REQUIRE(cut_everywhere(" e\xCC\x81 ") == " |e\xCC\x81| ");     // e, combining acute
  std::string const thumb = "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD";  // thumbs up, skin tone
  REQUIRE(cut_everywhere(thumb) == thumb);
  std::string const flag = "\xF0\x9F\x87\xB3\xF0\x9F\x87\xB4";  // two regional indicators
  REQUIRE(cut_everywhere(flag) == flag);
  std::string const family = "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7";  // with a joiner
  REQUIRE(cut_everywhere(family) == family);
}

TEST_CASE("is_a_few_words: two words and ten columns", "[text][words]") {
  for (auto const* const yes : {"The sky is", "Q: 1+1? A: ", "Human: hello",
                                "\xE4\xB8\xAD\xE5\x9B\xBD\xE7\x9A\x84\xE9\xA6\x96\xE9\x83\xBD"}) {
    CAPTURE(yes);
    REQUIRE(is_a_few_words(yes));
  }
  for (auto const* const no : {"", "P", "i1", "The sky i", "abcdefghijklmnop", "customer_ ",
                               "            ", "\xE4\xB8\xAD\xE5\x9B\xBD"}) {
    CAPTURE(no);
    REQUIRE_FALSE(is_a_few_words(no));
  }
}

TEST_CASE("begins_with_words_of: any white space is as good as any other", "[text][words]") {
  REQUIRE(begins_with_words_of("Human: hello\n\nAssistant: good", "\n\nHuman:  hello Assistant:"));
  REQUIRE(begins_with_words_of("The sky is", "The sky is "));
  REQUIRE_FALSE(begins_with_words_of("The sky isn", "The sky is"));
  REQUIRE_FALSE(begins_with_words_of("Thesky is", "The sky is"));
  REQUIRE_FALSE(begins_with_words_of("The sky", "The sky is"));
  REQUIRE_FALSE(begins_with_words_of("a", " "));
}

TEST_CASE("words_of_name: however a column's name is written", "[text][words]") {
  std::vector<std::string> const words = {"user", "prompt"};
  for (auto const* const name :
       {"user_prompt", "userPrompt", "User Prompt", "user-prompt", "user.prompt2"}) {
    CAPTURE(name);
    REQUIRE(prefer::text::words_of_name(name) == words);
  }
  REQUIRE(prefer::text::words_of_name("PROMPT") == std::vector<std::string>{"prompt"});
  REQUIRE(prefer::text::words_of_name("_1").empty());
}
