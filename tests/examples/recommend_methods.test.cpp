// SPDX-License-Identifier: MIT
//
// `recommend --method`: DPO beside the pipeline that it replaces, on ratings that take milliseconds.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <map>
#include <recommend/method_report.hpp>
#include <recommend/method_summary.hpp>
#include <recommend/methods.hpp>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

struct methods_folder : workplace {
  methods_folder() : workplace("recommend", PREFER_EXAMPLE_RECOMMEND) {
    file("ratings.inter", tiny_ratings());
  }
  [[nodiscard]] recommend::interactions data() const {
    return recommend::read_ratings(path("ratings.inter"), {});
  }
};

std::string const quick =
    "--ratings ratings.inter --factors 4 --start-epochs 2 --epochs 1 --pairs 5 --batch-size 16 ";

/// Options with which a policy of 20 items gets where its method leads.
recommend::study_options const thorough{.betas = {1.0},
                                        .seeds = 1,
                                        .factors = 8,
                                        .batch_size = 128,
                                        .start_epochs = 5,
                                        .tune_epochs = 5,
                                        .pairs_per_person = 40,
                                        .tune_rate = 0.02};

std::vector<recommend::method_row> rows_of_study(recommend::interactions const& data,
                                                 recommend::method_options const& how,
                                                 recommend::study_options const& options) {
  recommend::method_study study(data, options, how, {});
  study.start(1);
  std::vector<recommend::method_row> out;
  for (auto const& what : recommend::settings_of(how, options)) out.push_back(study.run(what));
  return out;
}

/// A row of people's NDCG@10, with a course.
recommend::method_row row(std::string const& method, double strength, std::uint64_t seed,
                          std::vector<float> ndcg,
                          std::vector<recommend::course_point> course = {}) {
  recommend::method_row out{.what = {method, "", strength}, .seed = seed};
  out.quality.ndcg_of = std::move(ndcg);
  out.quality.hit_rate_at_10 = 0.0;
  out.course = std::move(course);
  return out;
}

}  // namespace

TEST_CASE("recommend --method: a row for the start, the reward, the optimum and each setting",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const run = folder.run(quick +
                              "--method sft_on_chosen dpo ppo best_of_n --beta 0.5 2 --best-of 1 8 "
                              "--seeds 2 --judgings 2 --output out");
  INFO(run.err);
  REQUIRE(run.code == 0);
  for (char const* name :
       {"recommend_methods.csv", "recommend_methods.svg", "recommend_methods_courses.csv"}) {
    CHECK_THAT(run.out, Contains(std::string("wrote out/") + name));
  }
  CHECK_THAT(run.out, Contains("reward model") && Contains("implicit, of dpo") &&
                          Contains("over dpo") && Contains("times dpo's"));
  auto const rows = rows_of(folder.content("out/recommend_methods.csv"));
  std::vector<std::string> const expected = {
      "start",   "reward_model", "optimum 0.5", "optimum 2",   "dpo 0.5",      "dpo 2",
      "ppo 0.5", "ppo 2",        "best_of_n 1", "best_of_n 8", "sft_on_chosen"};
  REQUIRE(rows.size() == 2 * expected.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    auto const& each = rows[r];
    std::string name = each.at("method");
    if (!each.at("strength").empty()) name += " " + each.at("strength");
    CHECK(name == expected[r % expected.size()]);
    CHECK(each.at("seed") == (r < expected.size() ? "1" : "2"));
    bool const asks = recommend::asks_reward(each.at("method"));
    CHECK((number(each, "reward_seconds") > 0) == asks);
    CHECK(number(each, "seconds") >= number(each, "reward_seconds"));
    // Two for each of the five preferences of 11 people, rounded up to whole groups of four.
    CHECK(each.at("drawn_items") == (each.at("method") == "ppo" ? "132" : "0"));
    bool const is_reward =
        each.at("method") == "reward_model" || name.find(' ') != std::string::npos;
    CHECK(each.at("reward_accuracy").empty() == (!is_reward || each.at("method") == "best_of_n"));
  }
  // A course begins with the start, and has the two judgings at least.
  auto const courses = rows_of(folder.content("out/recommend_methods_courses.csv"));
  std::map<std::string, int> judged;
  for (auto const& each : courses) {
    ++judged[each.at("method") + each.at("strength") + "-" + each.at("seed")];
    if (each.at("step") == "0") CHECK(each.at("kl_start") == "0");
  }
  CHECK(judged.size() == 2 * 5);
  for (auto const& [name, times] : judged) CHECK(times >= 3);
}

TEST_CASE("recommend --method: gives the same numbers with any number of threads, and as JSON",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  std::vector<std::vector<csv_row>> results;
  std::string const what =
      quick +
      "--method dpo iterative_dpo online_dpo xpo nash_md ppo rloo reinforce best_of_n "
      "sft_on_chosen --beta 1 --seeds 1 ";
  for (std::string const threads : {"1", "2"}) {
    auto const run = folder.run(what + "--json --threads " + threads + " --output " + threads);
    REQUIRE(run.code == 0);
    auto const document = program::json::parse(run.out);
    results.push_back(without(rows_of(folder.content(threads + "/recommend_methods.csv")),
                              {"seconds", "reward_seconds"}));
    REQUIRE(document.at("rows").size() == results.back().size());
    for (std::size_t r = 0; r < results.back().size(); ++r) {
      CHECK(document["rows"][r].at("kl_start") == number(results.back()[r], "kl_start"));
      CHECK(document["rows"][r].at("ndcg_at_10") == number(results.back()[r], "ndcg_at_10"));
    }
    CHECK(document.at("against_dpo").size() == 13);  // with start, reward model and optimum
  }
  CHECK(results[0] == results[1]);
  // The options of the last document are a file of all flags, those too that go with others alone.
  folder.file(
      "again.json",
      program::json::parse(folder.run(what + "--json --output 3").out).at("options").dump());
  CHECK(folder.run("--config again.json --quiet --output 4").code == 0);
  CHECK(without(rows_of(folder.content("4/recommend_methods.csv")),
                {"seconds", "reward_seconds"}) == results[0]);
}

TEST_CASE("recommend --method: no policy gets more than the optimum, and who draws gets half of it",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const rows = rows_of_study(
      folder.data(),
      {.methods = {"dpo", "online_dpo", "xpo", "nash_md", "ppo", "rloo", "reinforce", "best_of_n"}},
      thorough);
  // What the methods that ask the reward model look for: the expected reward minus beta times the divergence.
  auto const found = [](recommend::method_row const& of, double beta) {
    return of.reward_gain - beta * of.quality.kl_start;
  };
  for (double const beta : thorough.betas) {
    auto const optimum = std::find_if(rows.begin(), rows.end(), [&](auto const& each) {
      return each.what.method == "optimum" && each.what.strength == beta;
    });
    REQUIRE(optimum != rows.end());
    double const most = found(*optimum, beta);
    CHECK(most > 0.0);  // the start has 0
    for (auto const& each : rows) {
      INFO(each.what.method << ' ' << each.what.strength.value_or(0) << " at beta " << beta);
      CHECK(found(each, beta) <= most + 1e-4 * std::abs(most));  // sums of float
      // Nash-MD looks for an equilibrium, not for this.
      if (recommend::draws(each.what.method) && each.what.method != "nash_md") {
        CHECK(found(each, beta) > 0.5 * most);
      }
    }
  }
}

TEST_CASE("recommend --method: what is kept of the start's rows changes no number",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const data = folder.data();
  auto const with = [&](std::size_t bytes) {
    recommend::study_options options = thorough;
    options.tune_epochs = 1;
    std::string out;
    for (auto& each :
         rows_of_study(data, {.methods = {"xpo", "nash_md"}, .kept_bytes = bytes}, options)) {
      each.seconds = each.reward_seconds = 0.0;
      out += recommend::kept_json_of(each).dump() + "\n";
    }
    return out;
  };
  std::string const all = with(std::size_t{1} << 20);
  CHECK(with(0) == all);
  CHECK(with(3 * data.items * sizeof(double)) ==
        all);  // three people's samplers, six people's rows
}

TEST_CASE("recommend --method: the optimum of the smallest beta keeps the highest reward alone",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  recommend::study_options options = thorough;
  options.betas = {1e-320, 1e-6};
  auto const rows = rows_of_study(folder.data(), {.methods = {"best_of_n"}}, options);
  REQUIRE(rows[2].what.method == "optimum");
  for (auto const& row : rows) {
    INFO(row.what.method << ' ' << row.what.strength.value_or(0.0));
    CHECK(std::isfinite(row.quality.kl_start));
    CHECK(row.reward_gain <= rows[2].reward_gain);
  }
  CHECK(rows[3].reward_gain == Approx(rows[2].reward_gain).epsilon(1e-6));
}

TEST_CASE("recommend --method: the best of one is the start, and of more it is within its bound",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const rows =
      rows_of_study(folder.data(), {.methods = {"best_of_n"}, .best_of = {1, 2, 4, 16}}, thorough);
  recommend::method_row const& start = rows.front();
  double before = -1.0;
  for (auto const& each : rows) {
    if (each.what.method != "best_of_n") continue;
    double const n = *each.what.strength;
    INFO("best of " << n);
    double const bound = std::log(n) - (n - 1.0) / n;
    CHECK(each.quality.kl_start <= bound + 1e-5);
    CHECK(each.quality.kl_start > before);
    if (n == 1.0) {
      CHECK(each.quality.kl_start == Approx(0.0).margin(1e-5));
      CHECK(each.reward_gain == Approx(0.0).margin(1e-5));
      CHECK(*each.quality.ndcg_at_10 == *start.quality.ndcg_at_10);
    } else {
      CHECK(each.reward_gain > 0.0);
    }
    before = n == 1.0 ? 1e-5 : each.quality.kl_start;
  }
}

TEST_CASE("recommend --method: held-out pairs are judged by the difference of rewards",
          "[examples][recommend][methods]") {
  // One person, two preferences: 0 over 1 and 1 over 2.
  recommend::person one;
  one.test_preferences = recommend::preferences(std::vector<recommend::preference>{{0, 1}, {1, 2}});
  recommend::interactions const data{.people = {one}, .items = 3};
  auto const says = [](std::vector<float> score) {
    return [score](std::size_t, std::size_t, std::span<float> out) {
      std::copy(score.begin(), score.end(), out.begin());
    };
  };
  auto const judged = recommend::judge_pairs(data, says({3.0f, 1.0f, 2.0f}), 0.5);
  CHECK(judged.accuracy == 0.5);  // differences 2 and -1, margins 1 and -1/2
  CHECK(judged.log_loss ==
        Approx((std::log1p(std::exp(-1.0)) + std::log1p(std::exp(0.5))) / 2.0).epsilon(1e-12));
  // Sure to 0.731 and right; sure to 0.622 and wrong: two bins.
  double const first = 1.0 / (1.0 + std::exp(-1.0));
  double const second = 1.0 / (1.0 + std::exp(-0.5));
  CHECK(judged.calibration_error == Approx(((1.0 - first) + second) / 2.0).epsilon(1e-12));
  auto const relative =
      recommend::judge_pairs(data, says({3.0f, 1.0f, 2.0f}), 0.5, says({3.0f, 0.0f, 2.0f}));
  CHECK(relative.accuracy == 0.5);  // margins -1/2 and 1/2
  CHECK(recommend::mean_score(data, says({std::log(0.5f), std::log(0.25f), std::log(0.25f)}),
                              says({4.0f, 8.0f, 0.0f})) == Approx(4.0).epsilon(1e-6));
}

TEST_CASE("recommend --method: a method is compared at the strength that other people choose",
          "[examples][recommend][methods]") {
  // Even people find most at 1, odd ones at 2: each half is judged at the other's choice, and nobody's own.
  std::vector<recommend::method_row> rows;
  for (std::uint64_t const seed : {1u, 2u}) {
    rows.push_back(row("dpo", 1.0, seed, {0.5f, 0.25f, 0.5f, 0.25f}));
    rows.push_back(row("ppo", 1.0, seed, {1.0f, 0.0f, 0.75f, 0.0f}));
    rows.push_back(row("ppo", 2.0, seed, {0.0f, 0.5f, 0.25f, 0.5f}));
  }
  auto const compared = recommend::compare(rows);
  REQUIRE(compared.size() == 2);
  CHECK(compared[0].over_dpo.mean == 0.0);
  CHECK(compared[1].method == "ppo");
  CHECK(compared[1].chosen.front().strength == 2.0);  // for even people, by odd ones
  CHECK(compared[1].chosen.back().strength == 1.0);
  CHECK(compared[1].ndcg_at_10.mean == Approx(0.25 / 4));
  // Differences -1/2, -1/4, -1/4, -1/4: mean -5/16, sample variance 1/64, over 4 people; seeds agree.
  CHECK(compared[1].over_dpo.mean == Approx(-5.0 / 16));
  CHECK(compared[1].over_dpo.error == Approx(std::sqrt(1.0 / 64 / 4)));
  CHECK_THAT(recommend::findings(rows),
             StartsWith("dpo ranks best: NDCG@10 of 0.3750.") &&
                 Contains("ppo is 0.3125 or 5.0 standard errors below dpo"));
}

TEST_CASE("recommend --method: seconds are those until both have the same NDCG@10",
          "[examples][recommend][methods]") {
  // dpo rises by 1 in 1 second; the other, after 2 seconds for its reward, by 0.5 in 4 and no further.
  std::vector<recommend::method_row> rows;
  for (std::uint64_t const seed : {1u, 2u}) {
    double const slower = seed == 1 ? 1.0 : 4.0;  // a machine at another work
    rows.push_back(row("dpo", 1.0, seed, {1.0f}, {{0, 0.0, 0.0, 0.0}, {10, slower, 1.0, 0.1}}));
    rows.push_back(row("rloo", 1.0, seed, {0.5f},
                       {{0, 2.0, 0.0, 0.0}, {5, 6.0, 0.5, 0.1}, {10, 10.0, 0.4, 0.2}}));
    rows.push_back(row("ppo", 1.0, seed, {0.0f}, {{0, 2.0, 0.0, 0.0}, {5, 6.0, 0.0, 0.1}}));
  }
  auto const all = recommend::at_equal_reward(rows);
  REQUIRE(all.size() == 2);
  CHECK(all[0].what.method == "rloo");
  CHECK(all[0].seeds == 2);
  CHECK(all[0].target == 0.5);
  CHECK(all[0].seconds.mean == 6.0);
  CHECK(all[0].dpo_seconds.mean == Approx(1.25));  // half of the way: 1/2 and 2
  // Times 12 and 3: mean 6, and the logarithms are log 2 from it, with t of one degree 12.706.
  CHECK(all[0].times == Approx(6.0));
  CHECK(*all[0].times_to == Approx(6.0 * std::pow(2.0, 12.706)));
  CHECK(*all[0].times_from == Approx(6.0 / std::pow(2.0, 12.706)));
  CHECK(all[1].what.method == "ppo");
  CHECK(all[1].seeds == 0);
  CHECK_THAT(recommend::table_of(all), Contains("never above the start"));
}

TEST_CASE("recommend --method: a study stopped at any step goes on to the same bits",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const data = folder.data();
  recommend::study_options const options{.betas = {1.0},
                                         .seeds = 1,
                                         .factors = 4,
                                         .batch_size = 16,
                                         .start_epochs = 1,
                                         .tune_epochs = 1,
                                         .pairs_per_person = 4};
  recommend::method_options how{.methods = recommend::known_methods(), .best_of = {2}, .rounds = 2};
  auto const settings = recommend::settings_of(how, options);
  // Stopped after each number of steps, so often at most.
  auto const rows_stopped_at = [&](int every, int times = 1000) {
    program::kept_trainings kept(folder.path("recommend"));
    int steps = 0;
    std::vector<recommend::method_row> out;
    for (int attempt = 0; attempt < 1000 && out.size() < settings.size(); ++attempt) {
      out.clear();
      program::interrupted = false;
      recommend::method_study study(data, options, how, {},
                                    {.kept = &kept, .on_step = [&](std::uint64_t, std::uint64_t) {
                                       if (every != 0 && ++steps % every == 0 && times-- > 0)
                                         program::interrupted = true;
                                     }});
      try {
        study.start(1);
        for (auto const& what : settings) out.push_back(study.run(what));
      } catch (program::stop const&) {
      }
    }
    program::interrupted = false;
    kept.forget();
    REQUIRE(out.size() == settings.size());
    std::string text;
    for (auto& each : out) {
      each.seconds = each.reward_seconds = 0.0;
      for (auto& at : each.course) at.seconds = 0.0;
      auto const kept_row = recommend::kept_json_of(each);
      CHECK(recommend::kept_json_of(recommend::method_row_of(kept_row)) == kept_row);
      text += kept_row.dump() + "\n";
    }
    return text;
  };
  std::string const whole = rows_stopped_at(0);
  CHECK(rows_stopped_at(7) == whole);
  how.judgings = 2;
  CHECK(rows_stopped_at(5, 6) == rows_stopped_at(0));
}

TEST_CASE("recommend --method: what has no meaning is refused in a sentence",
          "[examples][recommend][methods]") {
  methods_folder const folder;
  auto const refused = [&](std::string const& arguments, std::string const& sentence) {
    folder.check_refused(quick + "--output refused " + arguments, sentence, 2);
    CHECK_FALSE(folder.has("refused"));
  };
  refused("--method telepathy", "--method: found \"telepathy\"");
  refused("--method best_of_n --best-of 0", "--best-of: found \"0\"");
  refused("--method rloo --completions 1", "--completions: found \"1\"");
  refused("--method iterative_dpo --rounds 0", "--rounds: found \"0\"");
  refused("--method ppo --beta -1", "--beta: found \"-1\"");
  refused("--method dpo --centering -1", "--centering: found \"-1\"");
  refused("--method ppo --normaliser sampled --samples 4", "--method ppo: found a normaliser");
  refused("--method ppo --loss kto", "--loss: found losses without --method dpo");
  refused("--method dpo --best-of 3", "--best-of: found a value that none of these methods reads");
  refused("--method dpo --completions 3", "expected ppo or rloo or reinforce among them");
  refused("--method ppo --rounds 2", "--rounds: found a value that none of these methods reads");
  refused("--method ppo --samples 4", "--samples: found 4, and normalisers are exact here");
  refused("--samples 4", "--samples: found 4, and normalisers are exact here");
  refused("--method sft_on_chosen --beta 3",
          "--beta: found betas that none of these methods reads");
  refused("--method dpo --loss kto --beta 3",
          "--beta: found betas that none of these methods reads");
  refused("--loss kto --beta 3", "--beta: found betas of dpo, and --loss leaves dpo out");
  refused("--method dpo --reference none", "--method does not go with --reference");
  refused("--best-of 2", "--best-of requires --method");

  // What is liked in the last part was met in the first.
  std::string again = ratings_header;
  for (int user = 0; user < 4; ++user) {
    for (int k = 0; k < 10; ++k) {
      again += "u" + std::to_string(user) + "\ti" + std::to_string(k == 8 ? 0 : k) + "\t" +
               (k % 2 == 0 ? "5" : "1") + "\t" + std::to_string(k) + "\n";
    }
  }
  folder.file("again.inter", again);
  folder.check_refused("--ratings again.inter --method dpo --output refused",
                       "nobody has anything to find", 2);
}
