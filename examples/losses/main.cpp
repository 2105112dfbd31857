// SPDX-License-Identifier: MIT
//
// losses: preference losses from the command line, for people who compare them. See --help.
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <golden/check_files.hpp>

#include <prefer/file/writable.hpp>

#include "../program.hpp"
#include "../reading_options.hpp"
#include "apply.hpp"
#include "named_loss.hpp"
#include "plot.hpp"

namespace {

constexpr char const* description =
    R"(Preference losses: their values, coefficients and rewards, on your numbers.

A row of input is one JSON object on a line. Log-probabilities are natural
logarithms, summed over the tokens of a completion:

  pairs    policy_chosen policy_rejected ref_chosen ref_rejected
           [chosen_len rejected_len] [score_chosen score_rejected]
           [weight] [beta] [target_margin]
           and, of policies over tokens: divergence_chosen, alignment_chosen,
           perturbed_toward_chosen, perturbed_away_chosen, ..._rejected (tdpo2, wpo, epsilon_dpo);
           chosen_from_reference (xpo); uniform (beta_dpo)
  labels   policy ref label [len] [score] [kl_policy kl_ref] [weight] [beta]
  lists    policy ref [len] [score], each a list, best first [weight] [beta]

Log-probabilities may go by TRL's names (chosen_logps, ref_chosen_logps, ...).
A loss asks only for what it reads, see --list. kl_policy and kl_ref score a
completion of another prompt; all rows together give the baseline of kto, and
whatever else a loss takes from its batch. One JSON object per row comes out:

  loss                  weight included
  coefficient_chosen    d loss / d policy_chosen, and so on: a descent step is
  coefficient_rejected  minus it; multiply by 1/B for a mean (or --reduction mean)
  reward_chosen         beta * (policy - ref); without a reference beta * policy,
  reward_rejected       per token for losses that average

Rows that are labels or lists have `coefficient` and `reward`. Values beyond
JSON are the strings "inf", "-inf" and "nan". A summary goes to standard error.
)";

constexpr char const* examples =
    R"(Examples:
  losses --list
  echo '{"policy_chosen": -12, "policy_rejected": -15,
         "ref_chosen": -13, "ref_rejected": -14}' | tr -d '\n' | losses --loss dpo
  losses --loss simpo --set beta=2 --set gamma=1 pairs.jsonl > results.jsonl
  losses --loss dpo --loss hinge --loss ipo_sum --plot margins.svg
  losses --loss dpo:beta=0.1 --loss dpo:beta=0.1,label_smoothing=0.2 --plot smoothing.svg
  losses --check tests/golden/*.json
)";

struct arguments {
  bool list = false;
  std::vector<std::string> losses;
  std::vector<std::string> settings;
  std::string reduction = "none";
  std::string plot;
  std::vector<double> margins;
  std::vector<std::string> check;
  bool allow_uncovered = false;
  apply_options apply;
  program::reading_options rows;
};

/// What is asked of the program; each has flags of its own.
void declare_jobs(CLI::App& app, arguments& given) {
  app.add_flag("--list", given.list,
               "Every loss: hyper-parameters, defaults, what it reads, paper");
  auto* const check = app.add_option("--check", given.check,
                                     "Compare golden files with this library, print a table")
                          ->type_name("FILE")
                          ->check(program::path());
  app.add_flag("--allow-uncovered", given.allow_uncovered,
               "Cases of losses that are not in this version do not make --check fail")
      ->needs(check);
  app.add_option("--loss", given.losses,
                 "A loss by its name here or in TRL, with own settings behind a colon; for --plot "
                 "several times")
      ->type_name("NAME[:K=V,...]")
      ->allow_extra_args(false);
  program::suggested["--loss"] = names_of_losses();
  app.add_option("--set", given.settings, "A hyper-parameter, for every --loss that has it")
      ->type_name("K=V")
      ->allow_extra_args(false);
}

void declare(CLI::App& app, arguments& given) {
  declare_jobs(app, given);
  auto* const plot = app.add_option("--plot", given.plot,
                                    "Draw loss and coefficient against the margin, read no input")
                         ->type_name("FILE.svg")
                         ->check(program::path());
  app.add_option("--margins", given.margins, "Where the plot begins and ends, nats")
      ->type_name("LOW HIGH")
      ->check(program::finite())
      ->expected(2)
      ->needs(plot);
  auto const before = app.get_options().size();
  app.add_option("input", given.apply.input, "File of JSON lines, - for standard input")
      ->type_name("FILE")
      ->check(program::path())
      ->capture_default_str();
  app.add_option("--reduction", given.reduction,
                 "Coefficients of each row's own loss (none), or of the mean over rows (mean)")
      ->check(program::one_of({"none", "mean"}))
      ->capture_default_str();
  program::add_columns_option(app, given.rows);
  program::add_bad_row_options(app, given.rows);
  app.add_option("--output", given.apply.output, "Write the results here, whole or not at all")
      ->type_name("FILE")
      ->check(program::path());
  // A plot reads no rows.
  auto const all = app.get_options();
  for (std::size_t i = before; i < all.size(); ++i) all[i]->excludes(plot);
}

int list() {
  if (!program::as_json) {
    program::print(list_of_losses());
    return 0;
  }
  auto all = program::json::array();
  for (auto const& each : describe_losses()) {
    auto parameters = program::json::object();
    for (auto const& [name, value] : each.hyper_parameters)
      parameters[name] = program::number(value);
    all.push_back({{"loss", each.name},
                   {"over", each.over},
                   {"hyper_parameters", std::move(parameters)},
                   {"reads", each.reads},
                   {"paper", each.paper},
                   {"summary", each.summary},
                   {"trl", each.trl}});
  }
  auto document = program::results_document();
  document["losses"] = std::move(all);
  program::print_json(document);
  return 0;
}

int check(arguments const& given) {
  auto const found = golden::check_files(given.check, given.allow_uncovered);
  if (program::as_json) {
    auto rows = program::json::array();
    for (auto const& row : found.rows) {
      rows.push_back({{"file", row.file},
                      {"loss", row.loss},
                      {"here", row.here},
                      {"covered", row.covered},
                      {"passed", row.passed},
                      {"failed", row.failed},
                      {"not_covered", row.not_covered},
                      {"not_finite", row.not_finite},
                      {"cut_off", row.cut_off},
                      {"numbers", row.numbers}});
    }
    auto document = program::results_document();
    document["good"] = found.good;
    document["rows"] = std::move(rows);
    program::print_json(document);
  } else {
    program::print(found.text());
  }
  return found.good ? 0 : 1;
}

int plot(arguments const& given, std::vector<named_loss> const& losses) {
  prefer::expect_writable(given.plot, program::room_for_a_report);
  program::claim const alone(given.plot);
  std::optional<std::pair<double, double>> margins;
  if (!given.margins.empty()) margins = {given.margins[0], given.margins[1]};
  auto const note = plot_losses(losses, given.plot, margins);
  if (program::as_json) {
    auto document = program::results_document();
    document["files"] = {given.plot};
    document["note"] = note;
    program::print_json(document);
  } else if (!program::quiet) {
    std::fprintf(stderr, "wrote %s%s\n", given.plot.c_str(),
                 note.empty() ? "" : (" (" + note + ")").c_str());
  }
  return 0;
}

int run(arguments& given) {
  int const jobs =
      (given.list ? 1 : 0) + (given.check.empty() ? 0 : 1) + (given.losses.empty() ? 0 : 1);
  if (jobs != 1) {
    prefer::refuse("give one of --list, --loss NAME and --check FILE; --help shows examples");
  }
  if (given.list) return list();
  if (!given.check.empty()) return check(given);

  std::vector<setting> shared;
  for (auto const& text : given.settings) shared.push_back(parse_setting(text, "--set " + text));
  auto const losses = make_losses(program::without_repeats("--loss", given.losses), shared);
  if (!given.plot.empty()) return plot(given, losses);
  if (losses.size() != 1)
    prefer::refuse("several --loss need --plot FILE.svg; give one to read rows");
  given.apply.reduce =
      given.reduction == "mean" ? prefer::reduction::mean : prefer::reduction::none;
  given.apply.how = program::reading_of(given.rows);
  given.apply.columns = given.rows.columns;
  return apply(losses.front(), given.apply);
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(
      argc, argv, {.name = "losses", .description = description, .examples = examples}, declare,
      run);
}
