// SPDX-License-Identifier: MIT
//
// The judges that ship with the examples: each count can be followed by hand.
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <scoring/scorers.hpp>
#include <scoring/sentiment.hpp>
#include <scoring/words.hpp>

#include <prefer/expects.hpp>

namespace {

using Catch::Matchers::Contains;

void check(std::string_view text, double pleasant, double unpleasant) {
  INFO(text);
  auto const found = scoring::sentiment_of(text);
  CHECK(found.pleasant == pleasant);
  CHECK(found.unpleasant == unpleasant);
}

std::vector<std::string> words_of(std::string_view list) {
  std::istringstream stream{std::string(list)};
  std::vector<std::string> out;
  for (std::string word; stream >> word;) out.push_back(word);
  return out;
}

std::string without_star(std::string word) {
  if (word.back() == '*') word.pop_back();
  return word;
}

/// A file of scores, gone with the test.
struct scores_file {
  explicit scores_file(std::string const& content)
      : path((std::filesystem::temp_directory_path() /
              ("prefer-scores-" + std::to_string(::getpid())))
                 .string()) {
    std::ofstream(path) << content;
  }
  scores_file(scores_file const&) = delete;
  scores_file& operator=(scores_file const&) = delete;
  ~scores_file() { std::filesystem::remove(path); }
  std::string path;
};

}  // namespace

TEST_CASE("sentiment: words count by their sign, by beginnings where a star says so",
          "[examples][scoring]") {
  check("The dog came home, happy and safe.", 2, 0);
  check("The horse was lost in the dark storm.", 0, 1);
  check("A joyful, JOYOUS joy!", 3, 0);
  check("Harmony is no harm to paint or to several patients.", 2, 0);  // no harm is pleasant, too
  check("", 0, 0);
  check("The tram stopped at the corner.", 0, 0);
}

TEST_CASE("sentiment: a denial among the three words before gives the other sign",
          "[examples][scoring]") {
  check("She was not happy.", 0, 1);
  check("She was never very happy.", 0, 2);
  check("He didn't feel any joy.", 0, 1);
  check("He didn\xe2\x80\x99t lose.", 1, 0);
  check("It was not at all a success.", 1, 0);  // four words away
  check("He did not come, happy as he was.", 1, 0);
  check("Not lost but happy.", 2, 0);
}

TEST_CASE("sentiment: the word before makes it count double or half", "[examples][scoring]") {
  check("A very happy end.", 2, 0);
  check("A slightly sad end.", 0, 0.5);
  check("Very. Happy.", 1, 0);  // of another sentence
}

TEST_CASE("sentiment: the score is the difference of the two", "[examples][scoring]") {
  CHECK(scoring::sentiment_of("happy happy happy sad").score() == 2.0);
  CHECK(scoring::sentiment_of("sad").score() == -1.0);
  CHECK(scoring::sentiment_of("happy").score() == 1.0);
  CHECK(scoring::sentiment_of("happy sad").score() == 0.0);
  CHECK(scoring::sentiment_of("of").score() == 0.0);
}

TEST_CASE("sentiment: no word is on both lists or twice on one", "[examples][scoring]") {
  auto const pleasant = words_of(scoring::pleasant_words);
  auto const unpleasant = words_of(scoring::unpleasant_words);
  CHECK(pleasant.size() > 200);
  CHECK(unpleasant.size() > 200);
  for (auto const& word : pleasant) check(without_star(word), 1, 0);
  for (auto const& word : unpleasant) check(without_star(word), 0, 1);
  for (auto const* list : {&pleasant, &unpleasant}) {
    for (auto const& word : *list) {
      for (auto const& other : *list) {
        bool const covered =
            &word != &other && other.back() == '*' && word.rfind(without_star(other), 0) == 0;
        INFO(word << " is covered by " << other);
        CHECK_FALSE((covered || (&word != &other && word == other)));
      }
    }
  }
}

TEST_CASE("scorers: by name, from a file, and of a command", "[examples][scoring]") {
  CHECK(scoring::scorer_named("lengths")(" two  words\n") == 2.0);
  CHECK(scoring::scorer_named("sentiment")("happy") == 1.0);
  CHECK_THROWS_AS(scoring::scorer_named("taste"), prefer::precondition_error);

  scores_file const file("1\n{\"score\": -0.5, \"why\": \"short\"}\n\n2e-1\n");
  CHECK(scoring::scores_in_file(file.path, 3) == std::vector<double>{1.0, -0.5, 0.2});

  std::vector<std::string> const rows = {"{\"completion\":\"a\"}", "{\"completion\":\"bbb\"}"};
  CHECK(scoring::scores_by_command("awk '{print length($0)}'", rows) ==
        std::vector<double>{18.0, 20.0});
  // More rows than a pipe holds, of which the command reads none before it writes.
  std::vector<std::string> const many(20000, std::string(100, 'x'));
  CHECK(scoring::scores_by_command("yes 1 | head -n 20000", many).size() == many.size());
}

TEST_CASE("scorers: what is no score is refused in a sentence", "[examples][scoring]") {
  struct bad {
    std::string content;
    std::string sentence;
  };
  for (bad const& each : std::vector<bad>{
           {"1\nhigh\n", ":2: found \"high\"; expected a finite number"},
           {"nan\n1\n", ":1: found \"nan\"; expected a finite number"},
           {"{\"skore\": 1}\n1\n", ":1: found"},
           {"1\n", "1 scores for 2 completions; expected one a completion, in their order"},
           {"1\n2\n3\n", "3 scores for 2 completions"},
           {"", "expected one score a line"}}) {
    scores_file const file(each.content);
    INFO(each.content);
    CHECK_THROWS_WITH(scoring::scores_in_file(file.path, 2), Contains(each.sentence));
  }
  std::vector<std::string> const rows = {"{}", "{}"};
  CHECK_THROWS_WITH(scoring::scores_by_command("exit 3", rows),
                    Contains("--scorer-command exit 3: it ended with 3"));
  CHECK_THROWS_WITH(scoring::scores_by_command("kill -9 $$", rows),
                    Contains("it was ended by signal 9"));
  CHECK_THROWS_WITH(scoring::scores_by_command("echo 1", rows), Contains("1 scores for 2"));
}
