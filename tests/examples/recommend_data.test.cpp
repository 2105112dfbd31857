// SPDX-License-Identifier: MIT
//
// What `recommend` makes of people's histories, and how it judges rankings of them.

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <recommend/interactions.hpp>
#include <recommend/memory.hpp>
#include <recommend/popularity.hpp>
#include <recommend/ranking.hpp>
#include <recommend/report.hpp>
#include <recommend/study.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using namespace prefer::test;
using numbers = std::vector<std::uint32_t>;

struct data_folder : workplace {
  data_folder() : workplace("recommend", PREFER_EXAMPLE_RECOMMEND) {}

  [[nodiscard]] recommend::interactions ratings(std::string const& content,
                                                recommend::split_rule const& rule = {}) const {
    file("ratings", content);
    return recommend::read_ratings(path("ratings"), rule);
  }
  [[nodiscard]] recommend::interactions preferences(std::string const& content) const {
    file("pairs.jsonl", content);
    return recommend::read_preferences(path("pairs.jsonl"), {});
  }
};

/// Two people who like items 0 and 2 and dislike 1 and 3, and then do what is said of items 4 to 6.
std::string histories(std::string const& last) {
  std::string out = "user,item,rating,timestamp\n";
  for (std::string const who : {"u", "v"}) {
    int time = 0;
    for (int round = 0; round < 2; ++round) {
      for (std::string const each : {"i0,5", "i1,1", "i2,5", "i3,1"}) {
        out += who + "," + each + "," + std::to_string(time++) + "\n";
      }
    }
    for (std::string const& each : split(last, ' ')) {
      out += who + "," + each + "," + std::to_string(time++) + "\n";
    }
  }
  return out;
}

/// The same scores for everybody.
recommend::item_log_probs says(std::vector<float> const& score) {
  return [score](std::size_t, std::size_t count, std::span<float> out) {
    for (std::size_t r = 0; r < count; ++r) {
      std::copy(score.begin(), score.end(), out.subspan(r * score.size()).begin());
    }
  };
}

}  // namespace

TEST_CASE("recommend: ndcg-seen-items: what is hidden is not in the ideal",
          "[examples][recommend]") {
  data_folder const folder;
  // Ten events each, of which eight are learned from.
  auto const plain = folder.ratings(histories("good,5 bad,1"));
  auto const again = folder.ratings(histories("good,5 i2,5 i1,1"), {.train_share = 8.0 / 11});
  REQUIRE(plain.people[0].hidden == numbers{0, 1, 2, 3});
  CHECK(plain.people[0].to_find == numbers{4});
  CHECK(again.people[0].to_find == numbers{4});  // i2 was met, and cannot be found
  std::vector<float> const score = {0, 0, 0, 0, -1, -2};
  auto const one = recommend::judge(plain, says(score), says(score));
  CHECK(*one.ndcg_at_10 == 1.0);
  std::vector<float> const fewer = {0, 0, 0, 0, -1};
  auto const other = recommend::judge(again, says(fewer), says(fewer));
  CHECK(*other.ndcg_at_10 == 1.0);
  CHECK(*other.hit_rate_at_10 == 1.0);
}

TEST_CASE("recommend: ndcg-seen-items: who has nothing left to find does not count",
          "[examples][recommend]") {
  data_folder const folder;
  auto const all_seen = folder.ratings(histories("i0,5 i1,1"));
  CHECK(all_seen.people_with_something_to_find() == 0);
  std::vector<float> const score(4, -1.0f);
  auto const quality = recommend::judge(all_seen, says(score), says(score));
  CHECK_FALSE(quality.ndcg_at_10.has_value());
  CHECK(quality.pair_accuracy == 0.0);  // a tie is a miss
  CHECK(std::isnan(quality.ndcg_of[0]));

  // Nor does a table of what everybody learned: it is refused, unless what was met is ranked too.
  folder.file("seen.csv", histories("i0,5 i1,1"));
  std::string const seen =
      "--ratings seen.csv --output out --beta 1 --factors 2 --start-epochs 1 --epochs 1 --seeds 1 "
      "--loss dpo ";
  auto const run = folder.run(seen);
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("nothing to judge by") && Contains("--met-again"));
  auto const again = folder.run(seen + "--met-again");
  CHECK(again.code == 0);
  CHECK_THAT(again.out, Contains("2 people have something to find") && !Contains("nan"));
  CHECK_THAT(folder.content("out/recommend.csv"), !Contains("nan"));

  auto const met = folder.ratings(histories("i0,5 i1,1"), {.met_again = true});
  CHECK(met.people[0].hidden.empty());
  CHECK(met.people[0].to_find == numbers{0});
}

TEST_CASE("recommend: ndcg-liked-twice: what is liked is a set", "[examples][recommend]") {
  data_folder const folder;
  auto const twice = folder.ratings(histories("good,5 good,5 bad,1"), {.train_share = 8.0 / 11});
  CHECK(twice.people[0].to_find == numbers{4});
  CHECK(twice.people[0].test_preferences.size() == 1);
  std::vector<float> const score = {0, 0, 0, 0, -1, -2};
  CHECK(*recommend::judge(twice, says(score), says(score)).ndcg_at_10 == 1.0);
}

TEST_CASE("recommend: the last rating within a part is the opinion", "[examples][recommend]") {
  data_folder const folder;
  auto const changed = folder.ratings(histories("good,5 good,1 new,5"), {.train_share = 8.0 / 11});
  CHECK(changed.people[0].to_find == numbers{5});
  REQUIRE(changed.people[0].test_preferences.size() == 1);
  CHECK(changed.people[0].test_preferences[0].chosen == 5);
  CHECK(changed.people[0].test_preferences[0].rejected == 4);
  auto const once = folder.ratings(histories("good,5 bad,1"), {.again = recommend::repeats::last});
  CHECK(once.people[0].train_items.size() == 4);  // of six that are left
  CHECK_THROWS_WITH(
      folder.ratings(histories("good,5 bad,1"), {.again = recommend::repeats::refused}),
      Contains("more than once"));
}

TEST_CASE("recommend: negative-is-preferred: nothing that a chain puts over the chosen one",
          "[examples][recommend]") {
  data_folder const folder;
  std::ostringstream lines;
  auto const over = [&](int who, char const* chosen, char const* rejected) {
    lines << R"({"prompt": "u)" << who << R"(", "chosen": ")" << chosen << R"(", "rejected": ")"
          << rejected << "\"}\n";
  };
  for (int who = 0; who < 6; ++who) {
    for (int k = 0; k < 4; ++k) {
      over(who, "a", "b");
      over(who, "b", "c");
      over(who, "c", "d");
      over(who, "d", "e");
    }
    for (int k = 0; k < 2; ++k) {
      over(who, "b", "d");
      over(who, "c", "e");
    }
  }
  folder.file("chain.jsonl", lines.str());
  auto const run = folder.run(
      "--preferences chain.jsonl --output out --loss softmax_dpo --seeds 1 --start-epochs 1 "
      "--epochs 30 --pairs 10 --factors 4 --batch-size 32 --threads 1");
  REQUIRE(run.code == 0);
  for (auto const& row : rows_of(folder.content("out/recommend.csv"))) {
    INFO(row.at("beta"));
    if (row.at("loss") == "softmax_dpo") CHECK(row.at("pair_accuracy") == "1");
  }
}

TEST_CASE("recommend: preferences that contradict each other are counted aloud",
          "[examples][recommend]") {
  data_folder const folder;
  std::string lines;
  for (int k = 0; k < 5; ++k) {
    lines += R"({"prompt": "u", "chosen": "a", "rejected": "b"})"
             "\n"
             R"({"prompt": "u", "chosen": "b", "rejected": "a"})"
             "\n"
             R"({"prompt": "u", "chosen": "b", "rejected": "c"})"
             "\n";
  }
  // Twelve are learned from; a over b and b over a are eight of them.
  auto const data = folder.preferences(lines);
  CHECK(data.contradicted_preferences() == 8);
  // The three that are held out are among the twelve.
  CHECK(data.test_preferences() == 3);
  CHECK(data.learned_and_judged() == 3);
}

TEST_CASE("recommend: without opinions, what was not met stands for the disliked",
          "[examples][recommend]") {
  data_folder const folder;
  std::string pairs;
  for (int u = 0; u < 4; ++u) {
    for (int i = 0; i < 10; ++i) {
      pairs += "u" + std::to_string(u) + ",i" + std::to_string((u * 9 + i * 2) % 31) + "\n";
    }
  }
  auto const data = folder.ratings(pairs);
  for (auto const& each : data.people) {
    CHECK(each.train_disliked.size() == 8);
    for (auto const item : each.train_disliked) {
      CHECK(std::count(each.train_items.begin(), each.train_items.end(), item) == 0);
    }
    CHECK(each.test_preferences.size() == 4);
    CHECK(each.to_find.size() == 2);
  }
}

TEST_CASE("recommend: a scale of ten has likes from eight on", "[examples][recommend]") {
  data_folder const folder;
  std::string text = "user,item,rating\n";
  for (int i = 0; i < 20; ++i) {
    text += "u,i" + std::to_string(i) + (i % 2 == 0 ? ",9\n" : ",4\n");
  }
  auto const data = folder.ratings(text);
  CHECK(data.people[0].train_preferences.size() == 64);
  CHECK_THAT(data.notes[1], Contains("liked from 8, disliked to 4"));
  CHECK_THROWS_WITH(folder.ratings(text, {.liked_from = 3}),
                    Contains("--liked-from must be above --disliked-to"));
}

TEST_CASE("recommend: a reference is the person's, the group's or everybody's",
          "[examples][recommend]") {
  data_folder const folder;
  std::string text = "user,item,rating\n";
  auto const add = [&](std::string const& who, int items) {
    for (int i = 0; i < items; ++i) {
      text += who + ",i" + std::to_string(i) + (i % 2 == 0 ? ",5\n" : ",1\n");
    }
  };
  add("old", 20);
  add("new", 5);
  add("lone", 5);
  auto data = folder.ratings(text);
  folder.file("groups.csv", "user,item\nold,g\nnew,g\n");
  recommend::read_groups(folder.path("groups.csv"), {}, data);
  CHECK(data.groups == 1);
  recommend::personal_references const references(data);
  CHECK(references.counts() == std::vector<std::size_t>{1, 1, 1});

  // 24 events of everybody, 20 of the group; item 0 was met three times, twice, and once by "old".
  double const everybody = std::log(4.0 / (24 + 20));
  double const group = std::log((2 + 1000 * std::exp(everybody)) / (20 + 1000));
  double const own = std::log((1 + 50 * std::exp(group)) / (16 + 50));
  numbers const prompt = {0, 1, 2};
  numbers const completion = {0, 0, 0};
  std::vector<std::size_t> const offset = {0, 1, 2, 3};
  std::vector<float> said(3);
  auto of_people = references.of_people();
  of_people.log_prob({prompt, completion, offset}, said);
  CHECK(said[0] == Approx(own));
  CHECK(said[1] == Approx(group));
  CHECK(said[2] == Approx(everybody));
  auto of_groups = references.of_groups();
  of_groups.log_prob({prompt, completion, offset}, said);
  CHECK(said[0] == Approx(group));
  CHECK(said[2] == Approx(everybody));
}

TEST_CASE("recommend: a study that does not fit is refused with the sum, before it begins",
          "[examples][recommend]") {
  data_folder const folder;
  auto const data = folder.ratings(histories("good,5 bad,1"));
  auto const parts = recommend::memory_of(data, {});
  double sum = 0;
  for (auto const& part : parts) sum += part.bytes;
  CHECK_NOTHROW(recommend::expect_memory(parts, sum));
  CHECK_THROWS_WITH(recommend::expect_memory(parts, sum - 1),
                    Contains("of memory besides its data"));
  CHECK_THROWS_WITH(recommend::expect_memory({{"models", 3e9}, {"judging", 1.5e9}}, 2e9),
                    Contains("takes 4.50 GB") && Contains("models 3.00 GB, judging 1.50 GB") &&
                        Contains("2.00 GB are available"));
  folder.check_refused("--ratings ratings --output refused --memory 0.001", "1 MB are available",
                       2);
  CHECK_FALSE(folder.has("refused"));
}

TEST_CASE("recommend: who gains is told by how much people did, with paired intervals",
          "[examples][recommend]") {
  // Four people who find one item each; the tuned model puts it first for the two who did most.
  recommend::interactions data;
  data.items = 20;
  for (std::uint32_t p = 0; p < 4; ++p) {
    recommend::person someone;
    someone.train_items.assign(p + 1, p);
    someone.to_find = {10 + p};
    data.people.push_back(someone);
  }
  recommend::study_row start{.loss = "start", .reference = "none"};
  start.quality.ndcg_at_10 = 0.25;
  start.quality.ndcg_of = {0.25f, 0.25f, 0.0f, 0.5f};
  recommend::study_row tuned{.loss = "dpo", .beta = 1, .reference = "person"};
  tuned.quality.ndcg_at_10 = 0.625;
  tuned.quality.ndcg_of = {0.25f, 0.25f, 1.0f, 1.0f};
  std::vector<recommend::study_row> const rows = {start, tuned};
  auto const gains = recommend::who_gains(data, rows, recommend::summarize(rows));
  REQUIRE(gains.size() == 2);
  CHECK(gains[0].people == 2);
  CHECK(gains[0].most == 2);
  CHECK(gains[0].gain == 0.0);
  CHECK(gains[1].fewest == 3);
  CHECK(gains[1].start == Approx(0.25));
  CHECK(gains[1].gain == Approx(0.75));
  // Differences 1 and 0.5: deviation sqrt(1/8), over sqrt(2).
  CHECK(gains[1].half_width == Approx(1.96 * 0.25));
  CHECK_THAT(recommend::table_of(gains), Contains("3 to 4") && Contains("person, beta 1"));
}

TEST_CASE("recommend: a sampled normaliser trains too", "[examples][recommend]") {
  data_folder const folder;
  folder.file("ratings.inter", tiny_ratings());
  auto const run = folder.run(
      "--ratings ratings.inter --output out --seeds 1 --beta 1 --factors 4 --start-epochs 2 "
      "--epochs 1 --pairs 5 --loss dpo kto --normaliser sampled --samples 8");
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out, Contains("estimated from 8 of 20 items"));
  CHECK_THAT(run.out, Contains("kto"));
}
